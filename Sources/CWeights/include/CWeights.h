#ifndef CWEIGHTS_H
#define CWEIGHTS_H

#include <stdint.h>

// The inner loops of `WeightGenerator`, in vectors: element `i` is made of the SplitMix64 hash of
// `counter + (i + 1) · WEIGHTS_STEP`. `WeightGenerator` says what they compute; every bit is defined.

static const uint64_t WEIGHTS_STEP = 0x9E3779B97F4A7C15;

/// `y[i] = mean + d · step`, where `d` is about Gaussian.
void weights_normal(float *_Nonnull y, long count, uint64_t counter, double mean, double step);

/// `y[i] = lower + u · step`, where `u` is uniform.
void weights_uniform(float *_Nonnull y, long count, uint64_t counter, double lower, double step);

/// Zeroes the elements whose first 16 extra bits are below `zeros`, and multiplies those of the others by 64 whose
/// next 16 are below `outliers`.
void weights_disturb(float *_Nonnull y, long count, uint64_t counter, uint32_t zeros, uint32_t outliers);

#endif
