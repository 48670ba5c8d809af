// Ridge regression of wine quality by OpenBLAS and LAPACK: normal equations, Cholesky, eigenvalues.
#include <cblas.h>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
void dposv_(const char *, const int *, const int *, double *, const int *, double *, const int *, int *);
void dsyev_(const char *, const char *, const int *, double *, const int *, double *, double *, const int *, int *);
}

int main()
{
    std::ifstream in("data/wine.csv");
    std::string line;
    std::getline(in, line);
    if (std::count(line.begin(), line.end(), ',') != 3)
        throw std::runtime_error("data/wine.csv has no header");
    std::vector<double> x, y;
    while (std::getline(in, line)) {
        std::istringstream cells(line);
        std::string cell;
        std::vector<double> row{1.0};
        while (std::getline(cells, cell, ','))
            row.push_back(std::stod(cell));
        y.push_back(row.back());
        row.pop_back();
        x.insert(x.end(), row.begin(), row.end());
    }
    const int n = static_cast<int>(y.size()), p = static_cast<int>(x.size()) / n, one = 1;
    std::vector<double> gram(p * p), right(p), values(p), work(8 * p);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, p, p, n, 1.0, x.data(), p, x.data(), p, 0.0, gram.data(), p);
    cblas_dgemv(CblasRowMajor, CblasTrans, n, p, 1.0, x.data(), p, y.data(), 1, 0.0, right.data(), 1);
    for (int i = 0; i < p; i++)
        gram[i * p + i] += 0.1;
    auto spectrum = gram;
    int info = 0, size = 8 * p;
    dsyev_("N", "U", &p, spectrum.data(), &p, values.data(), work.data(), &size, &info);
    dposv_("U", &p, &one, gram.data(), &p, right.data(), &p, &info);
    if (info != 0)
        throw std::runtime_error("not positive definite");
    std::ofstream out("coefficients.csv");
    out.imbue(std::locale::classic());
    out << "term,coefficient,eigenvalue\n" << std::fixed << std::setprecision(9);
    for (int i = 0; i < p; i++)
        out << i << ',' << right[i] << ',' << values[i] << '\n';
}
