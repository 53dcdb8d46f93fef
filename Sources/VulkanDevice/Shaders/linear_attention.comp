// M ← Diag(exp g) M + k ⊗ v, y = scale · qᵀM; with a bonus, y = scale · qᵀ(M + Diag(bonus) k ⊗ v) of M before that. A
// column of M depends on no other: one invocation a head and value element, token by token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

// Whether g has an element for each key element, not one a head.
layout(constant_id = 0) const bool GATE_ROW = false;
layout(constant_id = 1) const bool BONUS = false;

layout(set = 0, binding = 0) readonly buffer Q { float q[]; };
layout(set = 0, binding = 1) readonly buffer K { float k[]; };
layout(set = 0, binding = 2) readonly buffer V { float v[]; };
layout(set = 0, binding = 3) readonly buffer G { float gate[]; };
layout(set = 0, binding = 4) readonly buffer Bonus { float bonus[]; };
layout(set = 0, binding = 5) readonly buffer Slots { int slots[]; };
// [slot][head][key][value]
layout(set = 0, binding = 6) buffer S { float state[]; };
layout(set = 0, binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, tokens, heads, size; float scale; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint head = i / size, value = i % size;
    for (uint t = 0; t < tokens; t++) {
        uint key = (t * heads + head) * size;
        uint column = (uint(slots[t]) * heads + head) * size * size + value;
        float decay = GATE_ROW ? 0.0 : exponential(gate[t * heads + head]);
        float sum = 0.0;
        for (uint j = 0; j < size; j++) {
            if (GATE_ROW) decay = exponential(gate[key + j]);
            float before = state[column + j * size];
            float own = k[key + j] * v[t * count + i];
            float m = before * decay + own;
            state[column + j * size] = m;
            sum += q[key + j] * (BONUS ? before + bonus[head * size + j] * own : m);
        }
        y[t * count + i] = scale * sum;
    }
}
