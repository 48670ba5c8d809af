/* Lengths of Collatz sequences up to a limit that stands in a file. Linked statically: the run
   opens no library, no locale and no other file of the system. */
#include <stdio.h>

int main(void)
{
    unsigned long limit, longest = 0, at = 0;
    FILE *in = fopen("data/limit.txt", "r");
    if (!in || fscanf(in, "%lu", &limit) != 1)
        return 1;
    FILE *out = fopen("records.txt", "w");
    for (unsigned long start = 1; start <= limit; start++) {
        unsigned long n = start, steps = 0;
        for (; n != 1; steps++)
            n = n % 2 ? 3 * n + 1 : n / 2;
        if (steps > longest) {
            longest = steps;
            at = start;
            fprintf(out, "%lu %lu\n", at, longest);
        }
    }
    return fclose(out);
}
