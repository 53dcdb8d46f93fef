#include "CWeights.h"

// A fused multiply and add would round once where two roundings are specified.
#pragma STDC FP_CONTRACT OFF

static inline uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

#define LOOPS "Loops.h"
#include "InstructionSets.h"

void weights_normal(float *y, long count, uint64_t counter, double mean, double step) {
    BEST(normal)(y, count, counter, mean, step);
}

void weights_uniform(float *y, long count, uint64_t counter, double lower, double step) {
    BEST(uniform)(y, count, counter, lower, step);
}

void weights_disturb(float *y, long count, uint64_t counter, uint32_t zeros, uint32_t outliers) {
    BEST(disturb)(y, count, counter, zeros, outliers);
}
