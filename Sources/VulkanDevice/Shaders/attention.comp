// Scores to shares, in place: the softmax in the middle of attention, one workgroup a head and token. The
// products before and after it are `matmul.comp`.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"
#include "math.glsl"

layout(constant_id = 0) const bool SOFTCAP = false;
layout(constant_id = 1) const bool BIAS = false;
layout(constant_id = 2) const bool SINKS = false;

// [H][tokens of this part][C]
layout(set = 0, binding = 0) buffer X { float scores[]; };
layout(set = 0, binding = 1) readonly buffer M { float mask[]; };
layout(set = 0, binding = 2) readonly buffer B { float bias[]; };
layout(set = 0, binding = 3) readonly buffer S { float sinks[]; };
layout(push_constant) uniform Push {
    uint rows, part_tokens, first_token, tokens, cells;
    float scale, cap;
};

void main() {
    uint row = group_index();
    if (row >= rows) return;
    uint head = row / part_tokens, token = first_token + row % part_tokens;
    uint first = row * cells, first_mask = token * cells, first_bias = (head * tokens + token) * cells;

    // A sink is a score with no value.
    float greatest = SINKS ? sinks[head] : LOWEST;
    for (uint c = lane(); c < cells; c += GROUP) {
        float score = scores[first + c] * scale;
        if (SOFTCAP) score = cap * hyperbolic_tangent(score / cap);
        if (BIAS) score += bias[first_bias + c];
        score = max(score + mask[first_mask + c], LOWEST);
        scores[first + c] = score;
        greatest = max(greatest, score);
    }
    greatest = reduce_max(greatest);

    float total = 0.0;
    for (uint c = lane(); c < cells; c += GROUP) {
        float share = scores[first + c] > LOWEST ? exponential(scores[first + c] - greatest) : 0.0;
        scores[first + c] = share;
        total += share;
    }
    total = reduce_sum(total);
    if (SINKS) total += exponential(sinks[head] - greatest);
    // A token that sees nothing gets zeros.
    for (uint c = lane(); c < cells; c += GROUP) scores[first + c] = total > 0.0 ? scores[first + c] / total : 0.0;
}
