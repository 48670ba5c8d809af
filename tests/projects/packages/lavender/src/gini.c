/* Sum of i * x[i] of sorted values. */
void weighted(double *x, int *n, double *sum)
{
    *sum = 0;
    for (int i = 0; i < *n; i++)
        *sum += (i + 1) * x[i];
}
