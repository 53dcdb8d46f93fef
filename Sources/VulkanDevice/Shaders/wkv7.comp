// M ← M Diag(w) + (M a) bᵀ + v kᵀ, y = M r. A row of M depends on no other: one invocation a head and value
// element, token by token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer R { float r[]; };
layout(set = 0, binding = 1) readonly buffer W { float w[]; };
layout(set = 0, binding = 2) readonly buffer K { float k[]; };
layout(set = 0, binding = 3) readonly buffer V { float v[]; };
layout(set = 0, binding = 4) readonly buffer A { float a[]; };
layout(set = 0, binding = 5) readonly buffer B { float b[]; };
layout(set = 0, binding = 6) readonly buffer Slots { int slots[]; };
// [slot][head][value][key]
layout(set = 0, binding = 7) buffer S { float state[]; };
layout(set = 0, binding = 8) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, tokens, size; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    for (uint t = 0; t < tokens; t++) {
        uint key = t * count + i / size * size;
        uint row = (uint(slots[t]) * count + i) * size;
        float value = v[t * count + i];
        float recalled = 0.0;
        for (uint j = 0; j < size; j++) recalled += state[row + j] * a[key + j];
        float sum = 0.0;
        for (uint j = 0; j < size; j++) {
            float m = state[row + j] * w[key + j] + recalled * b[key + j] + value * k[key + j];
            state[row + j] = m;
            sum += m * r[key + j];
        }
        y[t * count + i] = sum;
    }
}
