#include "CReference.h"
#include <math.h>
#include <string.h>

static inline double symmetric(uint64_t counter, long i) {
    uint64_t z = counter + (uint64_t)(i + 1) * REFERENCE_STEP;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z = (z ^ (z >> 31)) >> 12 | 0x3FF0000000000000;
    // A number in 1 ..< 2.
    double number;
    memcpy(&number, &z, sizeof number);
    return 2 * (number - 1.5);
}

#define LOOPS "Loops.h"
#include "InstructionSets.h"

void reference_products(
    const double *x, const double *w, double *y, double *squares, long rows, long outputs, long inputs) {
    BEST(products)(x, 0, w, y, squares, 0, rows, outputs, inputs);
}

void reference_products_of_rows(
    const double *x, const long *x_rows, const double *w, double *y, double *squares, const long *y_rows, long rows,
    long outputs, long inputs) {
    BEST(products)(x, x_rows, w, y, squares, y_rows, rows, outputs, inputs);
}

void reference_add(double scale, const double *x, double *y, double *squares, long count) {
    BEST(add)(scale, x, y, squares, count);
}

void reference_scale(double scale, double *y, long count) { BEST(scale)(scale, y, count); }

void reference_exp(const double *x, double *y, long count) { BEST(exp)(x, y, count); }

void reference_round(double *y, long count, double unit, uint64_t counter) {
    BEST(round)(y, count, unit, counter);
}

void reference_add_error(double *y, const double *squares, long count, double unit, uint64_t counter) {
    BEST(add_error)(y, squares, count, unit, counter);
}
