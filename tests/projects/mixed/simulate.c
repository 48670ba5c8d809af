/* Waiting times until the tenth event of a Poisson process, by a generator of its own. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252ULL;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) * 0x1.0p-53;
}

int main(int count, char **words)
{
    double rate = count > 1 ? atof(words[1]) : 1;
    for (int i = 0; i < 5000; i++) {
        double time = 0;
        for (int k = 0; k < 10; k++)
            time -= log(1 - uniform()) / rate;
        printf("%.6f\n", time);
    }
}
