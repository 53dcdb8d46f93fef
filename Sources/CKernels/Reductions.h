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
        // Squares of what is left of a partial vector's end would count the mean: those lanes are cut off.
        vf s = 0;
        FOR_EACH_VECTOR(count, {
            const vf d = LOAD(x + i) - splat(mean);
            if (n == LANES) s += d * d;
            else { vf whole = d * d; for (long l = n; l < LANES; l++) whole[l] = 0; s += whole; }
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

/// Replaces scores by exp(score − greatest) and returns their sum. `least` is a lower bound for the greatest.
INLINE float exponentials(float *y, const float *x, long count, float least, float *greatest) {
    vf m = splat(least);
    float top = least;
    long i = 0;
    for (; i + LANES <= count; i += LANES) m = maximum(load(x + i), m);
    for (; i < count; i++) top = x[i] > top ? x[i] : top;
    const float found = largest(m);
    top = found > top ? found : top;
    *greatest = top;
    vf total = 0;
    FOR_EACH_VECTOR(count, {
        const vf e = v_exp(LOAD(x + i) - splat(top));
        STORE(y + i, e);
        if (n == LANES) total += e;
        else { vf part = e; for (long l = n; l < LANES; l++) part[l] = 0; total += part; }
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
