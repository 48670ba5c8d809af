/* Exponential smoothing of the second column, with the distance to the third. */
#include <math.h>
#include <stdio.h>

int main(void) {
  char base;
  double value, reference, state = 0;
  long count = 0;
  while (scanf(" %c %lf %lf", &base, &value, &reference) == 3) {
    state = count++ ? 0.9 * state + 0.1 * value : value;
    printf("%c %.6f %.6f\n", base, state, sqrt((state - reference) * (state - reference)));
  }
  return count ? 0 : 1;
}
