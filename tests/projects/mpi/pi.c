/* The area below 4 / (1 + x x), each process its share of the strips. */
#include <mpi.h>
#include <stdio.h>

int main(int count, char **words)
{
    int rank, size;
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    double sum = 0, total = 0;
    for (int i = rank; i < 1000000; i += size) {
        double x = (i + 0.5) / 1e6;
        sum += 4 / (1 + x * x);
    }
    MPI_Reduce(&sum, &total, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) {
        FILE *out = fopen("pi.txt", "w");
        fprintf(out, "%d processes %.10f\n", size, total / 1e6);
        fclose(out);
    }
    MPI_Finalize();
    return 0;
}
