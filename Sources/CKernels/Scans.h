// Ops that pass over the tokens in order and keep a state for each slot.

/// Takes the consecutive tokens of one slot together: their taps are rows of `x`, but for the first ones.
static void convolution(
    const CPUSlots *s, const float *x, const float *weight, float *y, long channels, long taps,
    float *scratch) {
    for (long c = 0; c < channels; c++) {
        for (long j = 0; j < taps; j++) scratch[j * channels + c] = weight[c * taps + j];
    }
    const long kept = taps - 1;
    for (long first = 0, last; first < s->tokens; first = last) {
        for (last = first + 1; last < s->tokens && s->slots[last] == s->slots[first];) last++;
        float *state = s->state + s->slots[first] * s->slot_size;
        for (long t = first; t < last; t++) {
            float *result = y + t * channels;
            FOR_EACH_VECTOR(channels, {
                vf total = 0;
                for (long j = 0; j < taps; j++) {
                    const long source = t - kept + j;
                    const float *row =
                        source >= first ? x + source * channels : state + (source - first + kept) * channels;
                    total += LOAD(scratch + j * channels + i) * LOAD(row + i);
                }
                STORE(result + i, total);
            })
        }
        const long fresh = last - first < kept ? last - first : kept;
        memmove(state, state + fresh * channels, 4 * (kept - fresh) * channels);
        memcpy(state + (kept - fresh) * channels, x + (last - fresh) * channels, 4 * fresh * channels);
    }
}

static void selective_scan(
    const CPUSlots *s, const float *x, const float *step, const float *decay, const float *b, const float *c,
    float *y, long heads, long head_size, long state_size, long groups, long decay_size, float *scratch) {
    FOR_EACH_VECTOR(s->tokens * heads, STORE(scratch + i, v_softplus(LOAD(step + i)));)
    for (long h = 0; h < heads; h++) {
        const long group = h / (heads / groups);
        for (long t = 0; t < s->tokens; t++) {
            const float delta = scratch[t * heads + h];
            float *state = s->state + s->slots[t] * s->slot_size + h * head_size * state_size;
            const float *bt = b + (t * groups + group) * state_size, *ct = c + (t * groups + group) * state_size;
            const float *xt = x + (t * heads + h) * head_size;
            float *yt = y + (t * heads + h) * head_size;
            const vf shared = v_exp(splat(delta * decay[h * decay_size]));
            for (long p = 0; p < head_size; p++, state += state_size) {
                const vf input = splat(delta * xt[p]);
                vf total = 0;
                FOR_EACH_VECTOR(state_size, {
                    const vf factor = decay_size == 1 ? shared : v_exp(splat(delta) * LOAD(decay + h * decay_size + i));
                    const vf m = factor * LOAD(state + i) + input * LOAD(bt + i);
                    STORE(state + i, m);
                    total += m * LOAD(ct + i);
                })
                yt[p] = sum(total);
            }
        }
    }
}

/// The columns of the state (one for each element of the value) do not meet, so a vector of them goes
/// through the rule at a time. `scratch`: exp of the gate, `tokens × heads × gate_size` floats.
static void gated_delta_rule(
    const CPUSlots *s, const float *q, const float *k, const float *v, const float *gate, const float *beta,
    float *y, long key_heads, long heads, long size, long gate_size, float scale, float *scratch) {
    FOR_EACH_VECTOR(s->tokens * heads * gate_size, STORE(scratch + i, v_exp(LOAD(gate + i)));)
    for (long h = 0; h < heads; h++) {
        const long key_head = h / (heads / key_heads);
        for (long t = 0; t < s->tokens; t++) {
            float *state = s->state + s->slots[t] * s->slot_size + h * size * size;
            const float *kt = k + (t * key_heads + key_head) * size, *qt = q + (t * key_heads + key_head) * size;
            const float *vt = v + (t * heads + h) * size;
            const float *decay = scratch + (t * heads + h) * gate_size;
            const float *bt = beta + t * heads + h;
            float *yt = y + (t * heads + h) * size;
            FOR_EACH_VECTOR(size, {
                vf seen = 0;
                for (long j = 0; j < size; j++) {
                    const vf m = LOAD(state + j * size + i) * splat(decay[gate_size == 1 ? 0 : j]);
                    STORE(state + j * size + i, m);
                    seen += splat(kt[j]) * m;
                }
                const vf change = splat(*bt) * (LOAD(vt + i) - seen);
                vf total = 0;
                for (long j = 0; j < size; j++) {
                    const vf m = LOAD(state + j * size + i) + splat(kt[j]) * change;
                    STORE(state + j * size + i, m);
                    total += splat(qt[j]) * m;
                }
                STORE(yt + i, splat(scale) * total);
            })
        }
    }
}

/// As in `gated_delta_rule`, a vector of the state's columns at a time; `scratch` likewise.
static void linear_attention(
    const CPUSlots *s, const float *q, const float *k, const float *v, const float *gate, const float *bonus,
    float *y, long heads, long size, long gate_size, float scale, float *scratch) {
    FOR_EACH_VECTOR(s->tokens * heads * gate_size, STORE(scratch + i, v_exp(LOAD(gate + i)));)
    for (long h = 0; h < heads; h++) {
        for (long t = 0; t < s->tokens; t++) {
            float *state = s->state + s->slots[t] * s->slot_size + h * size * size;
            const long at = (t * heads + h) * size;
            const float *decay = scratch + (t * heads + h) * gate_size;
            FOR_EACH_VECTOR(size, {
                const vf value = LOAD(v + at + i);
                vf total = 0;
                for (long j = 0; j < size; j++) {
                    const vf before = LOAD(state + j * size + i), own = splat(k[at + j]) * value;
                    const vf m = before * splat(decay[gate_size == 1 ? 0 : j]) + own;
                    STORE(state + j * size + i, m);
                    total += splat(q[at + j]) * (bonus ? before + splat(bonus[h * size + j]) * own : m);
                }
                STORE(y + at + i, splat(scale) * total);
            })
        }
    }
}

static void wkv7(
    const CPUSlots *s, const float *r, const float *w, const float *k, const float *v, const float *a,
    const float *b, float *y, long heads, long size) {
    for (long h = 0; h < heads; h++) {
        for (long t = 0; t < s->tokens; t++) {
            float *state = s->state + s->slots[t] * s->slot_size + h * size * size;
            const long at = (t * heads + h) * size;
            for (long row = 0; row < size; row++, state += size) {
                vf seen = 0;
                FOR_EACH_VECTOR(size, seen += LOAD(state + i) * LOAD(a + at + i);)
                const vf change = splat(sum(seen));
                const vf value = splat(v[at + row]);
                vf total = 0;
                FOR_EACH_VECTOR(size, {
                    const vf m = LOAD(state + i) * LOAD(w + at + i) + change * LOAD(b + at + i)
                        + value * LOAD(k + at + i);
                    STORE(state + i, m);
                    total += m * LOAD(r + at + i);
                })
                y[at + row] = sum(total);
            }
        }
    }
}
