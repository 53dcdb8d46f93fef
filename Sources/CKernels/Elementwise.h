// Elementwise ops.

#define MAP(f) FOR_EACH_VECTOR(count, const vf v = LOAD(x + i); STORE(y + i, f);)

static void unary(CPUUnary function, const float *x, float *y, long count) {
    switch (function) {
    case CPU_SILU: MAP(v_silu(v)) break;
    case CPU_GELU: MAP(v_gelu(v)) break;
    case CPU_GELU_ERF: MAP(v_gelu_erf(v)) break;
    // Comparisons this way round keep a NaN.
    case CPU_RELU: MAP(v < splat(0) ? splat(0) : v) break;
    case CPU_SQUARED_RELU: MAP(v < splat(0) ? splat(0) : v * v) break;
    case CPU_SIGMOID: MAP(v_sigmoid(v)) break;
    case CPU_TANH: MAP(v_tanh(v)) break;
    case CPU_EXP: MAP(v_exp(v)) break;
    case CPU_SOFTPLUS: MAP(v_softplus(v)) break;
    case CPU_ROOT_OF_SOFTPLUS: MAP(__builtin_elementwise_sqrt(v_softplus(v))) break;
    case CPU_ERF: MAP(v_erf(v)) break;
    case CPU_STEP: MAP(v > splat(0) ? splat(1) : splat(0)) break;
    }
}

static void affine(const float *x, float *y, long count, float scale, float bias) {
    MAP(v * splat(scale) + splat(bias))
}

static void clamp(const float *x, float *y, long count, float lower, float upper) {
    FOR_EACH_VECTOR(count, {
        const vf v = LOAD(x + i);
        const vf raised = v < splat(lower) ? splat(lower) : v;
        STORE(y + i, raised > splat(upper) ? splat(upper) : raised);
    })
}

static void softcap(const float *x, float *y, long count, float cap) {
    MAP(splat(cap) * v_tanh(v / splat(cap)))
}

static void xielu(const float *x, float *y, long count, CPUXIELU f) {
    FOR_EACH_VECTOR(count, {
        const vf v = LOAD(x + i);
        // eᵐ − 1 is 2t / (1 − t) with t = tanh(m/2), which does not cancel.
        const vf t = v_tanh(splat(0.5f) * (v > splat(f.epsilon) ? splat(f.epsilon) : v));
        const vf power = splat(2) * t / (splat(1) - t);
        const vf curve = v > splat(0) ? splat(f.positive) * v * v : splat(f.negative) * (power - v);
        STORE(y + i, curve + splat(f.beta) * v);
    })
}

static void gated(
    CPUGated kind, const float *gate, const float *up, float *y, long count, float alpha, float limit) {
    switch (kind) {
    case CPU_SWIGLU: FOR_EACH_VECTOR(count, STORE(y + i, v_silu(LOAD(gate + i)) * LOAD(up + i));) break;
    case CPU_GEGLU: FOR_EACH_VECTOR(count, STORE(y + i, v_gelu(LOAD(gate + i)) * LOAD(up + i));) break;
    case CPU_CLAMPED_SWIGLU:
        FOR_EACH_VECTOR(count, {
            vf g = LOAD(gate + i);
            vf u = LOAD(up + i);
            g = g > splat(limit) ? splat(limit) : g;
            u = u > splat(limit) ? splat(limit) : (u < splat(-limit) ? splat(-limit) : u);
            STORE(y + i, g * v_sigmoid(splat(alpha) * g) * (u + splat(1)));
        })
        break;
    }
}

INLINE vf combined(CPUBinary operation, vf a, vf b) {
    switch (operation) {
    case CPU_ADD: return a + b;
    case CPU_SUBTRACT: return a - b;
    case CPU_MULTIPLY: return a * b;
    case CPU_DIVIDE: return a / b;
    case CPU_SECOND: return b;
    }
}

/// One run of elements, over which `b` moves on or stays.
INLINE void combine_run(CPUBinary operation, const float *a, const float *b, float *y, long count, int repeats) {
    if (repeats) {
        const vf constant = splat(*b);
        FOR_EACH_VECTOR(count, STORE(y + i, combined(operation, LOAD(a + i), constant));)
    } else {
        FOR_EACH_VECTOR(count, STORE(y + i, combined(operation, LOAD(a + i), LOAD(b + i)));)
    }
}

INLINE void combine_runs(
    const CPUBinary operation, const float *a, const float *b, float *y, const long *dimensions,
    const long *b_strides, long rank) {
    const long inner = dimensions[rank - 1];
    const int repeats = b_strides[rank - 1] == 0;
    long runs = 1;
    for (long d = 0; d < rank - 1; d++) runs *= dimensions[d];
    long index[CPU_MAX_RANK] = {0};
    for (long run = 0; run < runs; run++) {
        combine_run(operation, a, b, y, inner, repeats);
        a += inner;
        y += inner;
        for (long d = rank - 2; d >= 0; d--) {
            b += b_strides[d];
            if (++index[d] < dimensions[d]) break;
            b -= b_strides[d] * dimensions[d];
            index[d] = 0;
        }
    }
}

static void binary(
    CPUBinary operation, const float *a, const float *b, float *y, const long *dimensions,
    const long *b_strides, long rank) {
    switch (operation) {
    case CPU_ADD: combine_runs(CPU_ADD, a, b, y, dimensions, b_strides, rank); break;
    case CPU_SUBTRACT: combine_runs(CPU_SUBTRACT, a, b, y, dimensions, b_strides, rank); break;
    case CPU_MULTIPLY: combine_runs(CPU_MULTIPLY, a, b, y, dimensions, b_strides, rank); break;
    case CPU_DIVIDE: combine_runs(CPU_DIVIDE, a, b, y, dimensions, b_strides, rank); break;
    // What `a` points to plays no part.
    case CPU_SECOND: combine_runs(CPU_SECOND, y, b, y, dimensions, b_strides, rank); break;
    }
}
