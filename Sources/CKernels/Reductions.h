// Sums, norms and softmax over rows.

static void sum_axis(const float *x, float *y, long outer, long extent, long inner) {
    for (long o = 0; o < outer; o++, x += extent * inner, y += inner) {
        if (inner == 1) {
            vf s = 0;
            FOR_EACH_VECTOR(extent, s += LOAD(x + i);)
            *y = sum(s);
        } else {
            FOR_EACH_VECTOR(inner, {
                vf s = 0;
                for (long e = 0; e < extent; e++) s += LOAD(x + e * inner + i);
                STORE(y + i, s);
            })
        }
    }
}

static void norm(
    CPUNorm kind, const float *x, const float *weight, const float *bias, float *y, long rows, long count,
    double epsilon) {
    for (long row = 0; row < rows; row++, x += count, y += count) {
        float mean = 0;
        if (kind == CPU_LAYER_NORM) {
            vf s = 0;
            FOR_EACH_VECTOR(count, s += LOAD(x + i);)
            mean = (float)((double)sum(s) / count);
        }
        vf s = 0;
        FOR_EACH_VECTOR(count, {
            vf d = LOAD(x + i) - splat(mean);
            // Lanes beyond the end hold the mean, which is no deviation.
            for (long l = n; l < LANES; l++) d[l] = 0;
            s += d * d;
        })
        const double squares = sum(s);
        double scale = 1;
        switch (kind) {
        case CPU_LAYER_NORM:
        case CPU_RMS_NORM: scale = 1 / sqrt(squares / count + epsilon); break;
        case CPU_L2_NORM: scale = 1 / sqrt(squares + epsilon); break;
        case CPU_UNIT_NORM: scale = 1 / fmax(sqrt(squares), epsilon); break;
        }
        const vf factor = splat((float)scale);
        FOR_EACH_VECTOR(count, {
            vf v = (LOAD(x + i) - splat(mean)) * factor;
            if (weight) v *= LOAD(weight + i);
            if (bias) v += LOAD(bias + i);
            STORE(y + i, v);
        })
    }
}

/// `y = exp(x − greatest)`, where `greatest` is that of `x` and `least`; returns the sum. All −∞ give zeros.
INLINE float exponentials(float *y, const float *x, long count, float least, float *greatest) {
    vf tops = splat(least);
    FOR_EACH_VECTOR(count, {
        // A partial vector's zeros are no scores.
        vf v = LOAD(x + i);
        for (long l = n; l < LANES; l++) v[l] = least;
        tops = maximum(v, tops);
    })
    *greatest = largest(tops);
    const vf origin = splat(*greatest == -INFINITY ? 0 : *greatest);
    vf total = 0;
    FOR_EACH_VECTOR(count, {
        vf e = v_exp(LOAD(x + i) - origin);
        STORE(y + i, e);
        for (long l = n; l < LANES; l++) e[l] = 0;
        total += e;
    })
    return sum(total);
}

static void softmax(const float *x, float *y, long rows, long count) {
    for (long row = 0; row < rows; row++, x += count, y += count) {
        float greatest;
        const float total = exponentials(y, x, count, -INFINITY, &greatest);
        FOR_EACH_VECTOR(count, STORE(y + i, LOAD(y + i) / splat(total));)
    }
}
