// h ← exp(δ·A) ⊙ h + δ·x ⊗ B, y = h · C, with δ = softplus(Δ); one invocation a head and channel, token by
// token.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

// Whether A has an element for each element of the state, not one a head.
layout(constant_id = 0) const bool DECAY_ROW = false;

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer D { float step_[]; };
layout(set = 0, binding = 2) readonly buffer A { float decay[]; };
layout(set = 0, binding = 3) readonly buffer B { float b[]; };
layout(set = 0, binding = 4) readonly buffer C { float c[]; };
layout(set = 0, binding = 5) readonly buffer Slots { int slots[]; };
layout(set = 0, binding = 6) buffer S { float state[]; };
layout(set = 0, binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, tokens, heads, head_size, groups, state_size; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint head = i / head_size, group = head / (heads / groups);
    for (uint t = 0; t < tokens; t++) {
        float delta = softplus(step_[t * heads + head]);
        float input_ = delta * x[t * count + i];
        float factor = DECAY_ROW ? 0.0 : exponential(delta * decay[head]);
        uint row = (uint(slots[t]) * count + i) * state_size, shared_ = (t * groups + group) * state_size;
        float sum = 0.0;
        for (uint n = 0; n < state_size; n++) {
            if (DECAY_ROW) factor = exponential(delta * decay[head * state_size + n]);
            float h = factor * state[row + n] + input_ * b[shared_ + n];
            state[row + n] = h;
            sum += h * c[shared_ + n];
        }
        y[t * count + i] = sum;
    }
}
