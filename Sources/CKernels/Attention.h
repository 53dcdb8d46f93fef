// Positions, masks and attention.

/// sin and cos by reduction to |r| ≤ π/4 in double precision, so that great positions keep their angle.
static void rope_table(
    const int *positions, const double *frequencies, double magnitude, float *cosine, float *sine,
    long tokens, long pairs) {
    for (long t = 0; t < tokens; t++, cosine += pairs, sine += pairs) {
        const double position = positions[t];
        for (long p = 0; p < pairs; p++) {
            const double angle = position * frequencies[p];
            // Adding 1.5·2⁵² leaves the nearest quarter turn in the low bits.
            const double shifted = angle * 0.63661977236758138 + 6755399441055744.0;
            const double n = shifted - 6755399441055744.0;
            const double r = (angle - n * 1.5707963267948966) - n * 6.123233995736766e-17;
            const double z = r * r;
            const double s = r + r * z * (-0.16666666666666666 + z * (0.008333333333330948
                + z * (-0.00019841269836758574
                + z * (2.755731610255244e-06 + z * (-2.5051131845003624e-08 + z * 1.5918129294866608e-10)))));
            const double c = 1 - 0.5 * z + z * z * (0.041666666666666664 + z * (-0.0013888888888887398
                + z * (2.480158729876569e-05 + z * (-2.7557317271729793e-07 + z * (2.08761462684032e-09
                + z * -1.1382632425521717e-11)))));
            long quarter;
            memcpy(&quarter, &shifted, 8);
            const double a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
            sine[p] = (float)((quarter & 2 ? -a : a) * magnitude);
            cosine[p] = (float)(((quarter + 1) & 2 ? -b : b) * magnitude);
        }
    }
}

static void rope(
    const float *x, const float *cosine, const float *sine, float *y, long tokens, long heads,
    long head_size, long offset, long pairs, int halves) {
    for (long t = 0; t < tokens; t++, cosine += pairs, sine += pairs) {
        for (long h = 0; h < heads; h++, x += head_size, y += head_size) {
            if (offset > 0) memcpy(y, x, 4 * offset);
            const long end = offset + 2 * pairs;
            if (end < head_size) memcpy(y + end, x + end, 4 * (head_size - end));
            const float *restrict from = x + offset;
            float *restrict to = y + offset;
            if (halves) {
                FOR_EACH_VECTOR(pairs, {
                    const vf c = LOAD(cosine + i);
                    const vf s = LOAD(sine + i);
                    const vf a = LOAD(from + i);
                    const vf b = LOAD(from + pairs + i);
                    STORE(to + i, a * c - b * s);
                    STORE(to + pairs + i, a * s + b * c);
                })
            } else {
                for (long p = 0; p < pairs; p++) {
                    const float a = from[2 * p], b = from[2 * p + 1];
                    to[2 * p] = a * cosine[p] - b * sine[p];
                    to[2 * p + 1] = a * sine[p] + b * cosine[p];
                }
            }
        }
    }
}

static void mask(
    const int *first, const int *last, const int *sequences, const int *cell_positions,
    const int *cell_sequences, float *y, long tokens, long cells) {
    for (long t = 0; t < tokens; t++, y += cells) {
        for (long c = 0; c < cells; c++) {
            const int position = cell_positions[c];
            const int seen = (position >= first[t]) & (position <= last[t]) & ((sequences[t] & cell_sequences[c]) != 0);
            y[c] = seen ? 0 : -INFINITY;
        }
    }
}

/// Cells that some of the rows of a mask may see, widened downwards to whole vectors: the others would
/// only add zeros.
INLINE void visible_cells(const float *mask, long rows, long cells, long *first, long *last) {
    long low = cells, high = 0;
    for (long r = 0; r < rows; r++) {
        const float *row = mask + r * cells;
        long c = 0;
        while (c < low && row[c] == -INFINITY) c++;
        low = c;
        c = cells;
        while (c > high && row[c - 1] == -INFINITY) c--;
        high = c;
    }
    *first = low < high ? low / LANES * LANES : 0;
    *last = high;
}

static void attention(const CPUAttention *a, long first_head, long last_head) {
    const long query_stride = a->heads * a->key_size, key_stride = a->key_heads * a->key_size;
    const long value_stride = a->key_heads * a->value_stride, result_stride = a->heads * a->value_size;
    for (long t = 0; t < a->tokens; t += CPU_ATTENTION_ROWS) {
        const long rows = a->tokens - t < CPU_ATTENTION_ROWS ? a->tokens - t : CPU_ATTENTION_ROWS;
        const float *masks = a->mask + t * a->cells;
        long first, last;
        visible_cells(masks, rows, a->cells, &first, &last);
        const long cells = last - first;
        for (long h = first_head; h < last_head; h++) {
            const long key_head = h / (a->heads / a->key_heads);
            const CPUMatmul scores = {
                .x = a->queries + t * query_stride + h * a->key_size, .x_stride = query_stride,
                .weight = a->keys + first * key_stride + key_head * a->key_size, .weight_stride = 4 * key_stride,
                .weight_step = 4 * CPU_WEIGHT_COLUMNS, .type = QUANTS_F32, .y = a->scratch, .y_stride = cells,
                .rows = rows, .outputs = cells, .inputs = a->key_size,
            };
            matmul(&scores);
            float totals[CPU_ATTENTION_ROWS];
            for (long r = 0; r < rows; r++) {
                float *s = a->scratch + r * cells;
                const float *seen = masks + r * a->cells + first;
                const float *bias = a->bias ? a->bias + (h * a->tokens + t + r) * a->cells + first : 0;
                FOR_EACH_VECTOR(cells, {
                    vf v = LOAD(s + i) * splat(a->scale);
                    if (a->softcap != 0) v = splat(a->softcap) * v_tanh(v / splat(a->softcap));
                    if (bias) v += LOAD(bias + i);
                    // Whatever a hidden cell holds, its score is −∞.
                    const vf hidden = LOAD(seen + i);
                    STORE(s + i, hidden == splat(-INFINITY) ? hidden : v + hidden);
                })
                float greatest;
                totals[r] = exponentials(s, s, cells, a->sinks ? a->sinks[h] : -INFINITY, &greatest);
                if (a->sinks) totals[r] += v_exp(splat(a->sinks[h] - greatest))[0];
                // A token that sees nothing gets zeros.
                if (totals[r] == 0) totals[r] = 1;
            }
            float *result = a->result + t * result_stride + h * a->value_size;
            weighted_sum(
                a->scratch, cells, a->values + first * value_stride + key_head * a->value_stride, value_stride,
                result, result_stride, rows, a->value_size, cells);
            for (long r = 0; r < rows; r++) {
                float *y = result + r * result_stride;
                FOR_EACH_VECTOR(a->value_size, STORE(y + i, LOAD(y + i) / splat(totals[r]));)
            }
        }
    }
}

static void index_scores(
    const float *queries, const float *keys, const float *weights, const float *mask, float *y, long tokens,
    long heads, long size, long cells, float *scratch) {
    for (long t = 0; t < tokens; t++, queries += heads * size, weights += heads, mask += cells, y += cells) {
        const CPUMatmul products = {
            .x = queries, .x_stride = size, .weight = keys, .weight_stride = 4 * size,
            .weight_step = 4 * CPU_WEIGHT_COLUMNS, .type = QUANTS_F32, .y = scratch, .y_stride = cells,
            .rows = heads, .outputs = cells, .inputs = size,
        };
        matmul(&products);
        for (long c = 0; c < cells; c++) {
            float sum = 0;
            for (long h = 0; h < heads; h++) {
                const float product = scratch[h * cells + c];
                sum += weights[h] * (product > 0 ? product : 0);
            }
            // Whatever a hidden cell holds, its score is −∞.
            y[c] = mask[c] == -INFINITY ? -INFINITY : sum + mask[c];
        }
    }
}
