#ifndef CREFERENCE_H
#define CREFERENCE_H

#include <stdint.h>

// The inner loops of the float64 reference, in vectors, so that they are fast in a debug build too.
//
// Every sum is added up in the same order however many rows and outputs there are, so that a token's
// result has the same bits in any batch.

/// `y[r, n] = Σ_k x[r, k] · w[n, k]`, and `squares[r, n] = Σ_k (x[r, k] · w[n, k])²` if that is not null.
void reference_products(
    const double *_Nonnull x, const double *_Nonnull w, double *_Nonnull y, double *_Nullable squares,
    long rows, long outputs, long inputs);

/// The same for rows that lie anywhere: row `r` is row `x_rows[r]` of `x`, and `y_rows[r]` of `y` and `squares`;
/// or `r` itself where there is no list.
void reference_products_of_rows(
    const double *_Nonnull x, const long *_Nullable x_rows, const double *_Nonnull w, double *_Nonnull y,
    double *_Nullable squares, const long *_Nullable y_rows, long rows, long outputs, long inputs);

/// `y[i] += scale · x[i]`, and `squares[i] += (scale · x[i])²` if that is not null.
void reference_add(
    double scale, const double *_Nonnull x, double *_Nonnull y, double *_Nullable squares, long count);

/// `y[i] *= scale`.
void reference_scale(double scale, double *_Nonnull y, long count);

/// `y[i] = eˣ` of `x[i]`, to the last bit or two.
void reference_exp(const double *_Nonnull x, double *_Nonnull y, long count);

// Random numbers: element `i` takes ξ, uniform in −1 ..< 1, from the SplitMix64 hash of
// `counter + (i + 1) · REFERENCE_STEP`.

static const uint64_t REFERENCE_STEP = 0x9E3779B97F4A7C15;

/// `y[i] *= 1 + unit · ξ[i]`.
void reference_round(double *_Nonnull y, long count, double unit, uint64_t counter);

/// `y[i] += unit · √squares[i] · ξ[i]`.
void reference_add_error(
    double *_Nonnull y, const double *_Nonnull squares, long count, double unit, uint64_t counter);

#endif
