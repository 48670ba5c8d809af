/* Decay of a damped oscillation: spline through the points, its integral, a root, a simulation. */
#include <gsl/gsl_fit.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sf_bessel.h>
#include <gsl/gsl_spline.h>
#include <stdio.h>

int main(void)
{
    double time[64], value[64];
    int n = 0;
    FILE *in = fopen("points.txt", "r");
    if (!in) {
        perror("points.txt");
        return 1;
    }
    while (n < 64 && fscanf(in, "%lf %lf", &time[n], &value[n]) == 2)
        n++;
    fclose(in);

    gsl_interp_accel *accel = gsl_interp_accel_alloc();
    gsl_spline *spline = gsl_spline_alloc(gsl_interp_cspline, n);
    gsl_spline_init(spline, time, value, n);
    FILE *out = fopen("curve.tsv", "w");
    for (int i = 0; i <= 40; i++) {
        double t = time[0] + (time[n - 1] - time[0]) * i / 40;
        fprintf(out, "%.3f\t%.9f\t%.9f\n", t, gsl_spline_eval(spline, t, accel),
                gsl_spline_eval_deriv(spline, t, accel));
    }
    fprintf(out, "integral\t%.9f\n", gsl_spline_eval_integ(spline, time[0], time[n - 1], accel));

    double c0, c1, c00, c01, c11, sum;
    gsl_fit_linear(time, 1, value, 1, n, &c0, &c1, &c00, &c01, &c11, &sum);
    fprintf(out, "slope\t%.9f\n", c1);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    double drawn = 0;
    for (int i = 0; i < 100000; i++)
        drawn += gsl_ran_gaussian(rng, 2.0);
    fprintf(out, "drawn\t%.9f\nbessel\t%.12f\n", drawn, gsl_sf_bessel_J0(2.4048));
    return fclose(out);
}
