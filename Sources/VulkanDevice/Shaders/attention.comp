// Softmax attention of one token and head by one workgroup: 64 cells at a time, with a running maximum
// and sum (Milakov and Gimelshein 2018), so that no scores are kept.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"
#include "math.glsl"

layout(constant_id = 0) const bool SOFTCAP = false;
layout(constant_id = 1) const bool BIAS = false;
layout(constant_id = 2) const bool SINKS = false;

layout(set = 0, binding = 0) readonly buffer Q { float queries[]; };
layout(set = 0, binding = 1) readonly buffer K { float keys[]; };
layout(set = 0, binding = 2) readonly buffer V { float values[]; };
layout(set = 0, binding = 3) readonly buffer M { float mask[]; };
layout(set = 0, binding = 4) readonly buffer B { float bias[]; };
layout(set = 0, binding = 5) readonly buffer S { float sinks[]; };
layout(set = 0, binding = 6) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint tokens, heads, key_heads, cells;
    // Of a key head, of a value head as it lies in memory, and of its part that is used.
    uint key_size, value_stride, value_size;
    float scale, cap;
};

// `Lowering.maxValueSize`. Element d belongs to invocation d % 64 alone.
shared float sums[1024];
shared float shares[GROUP];

void main() {
    uint row = group_index();
    if (row >= tokens * heads) return;
    uint token = row / heads, head = row % heads;
    uint key_head = head / (heads / key_heads);

    for (uint d = lane(); d < value_size; d += GROUP) sums[d] = 0.0;
    // A sink is a score with no value.
    float greatest = SINKS ? sinks[head] : LOWEST;
    float total = SINKS ? 1.0 : 0.0;

    for (uint base = 0; base < cells; base += GROUP) {
        uint cell = base + lane();
        float score = LOWEST;
        float seen = cell < cells ? mask[token * cells + cell] : LOWEST;
        if (seen > LOWEST) {
            uint q = row * key_size, k = (cell * key_heads + key_head) * key_size;
            float product = 0.0;
            for (uint d = 0; d < key_size; d++) product += queries[q + d] * keys[k + d];
            score = product * scale;
            if (SOFTCAP) score = cap * hyperbolic_tangent(score / cap);
            if (BIAS) score += bias[(head * tokens + token) * cells + cell];
            score += seen;
        }
        float best = reduce_max(score);
        if (best <= LOWEST) continue;
        float next = max(greatest, best);
        float share = score > LOWEST ? exponential(score - next) : 0.0;
        shares[lane()] = share;
        float kept = exponential(greatest - next);
        total = total * kept + reduce_sum(share);
        greatest = next;
        uint last = min(GROUP, cells - base);
        for (uint d = lane(); d < value_size; d += GROUP) {
            uint v = (base * key_heads + key_head) * value_stride + d;
            float sum = 0.0;
            for (uint j = 0; j < last; j++) sum += shares[j] * values[v + j * key_heads * value_stride];
            sums[d] = sums[d] * kept + sum;
        }
    }
    for (uint d = lane(); d < value_size; d += GROUP) y[row * value_size + d] = sums[d] / total;
}
