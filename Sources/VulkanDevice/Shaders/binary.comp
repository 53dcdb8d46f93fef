// y = f(a, b), element by element; b is repeated where its stride is 0.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "strides.glsl"

// Numbered as in `Lowering`.
layout(constant_id = 0) const uint FUNCTION = 0;
// Whether b has a's own layout: no walk is needed.
layout(constant_id = 1) const bool SAME = false;

layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 1) readonly buffer B { float b[]; };
layout(set = 0, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push {
    uint count, extents[RANK], strides[RANK];
    float alpha, limit;
};

float apply(float u, float v) {
    switch (FUNCTION) {
    case 0: return u + v;
    case 1: return u - v;
    case 2: return u * v;
    case 3: return u / v;
    case 4: return silu(u) * v;
    case 5: return gelu(u) * v;
    default:
        float gate = min(u, limit);
        return gate * sigmoid(alpha * gate) * (clamp(v, -limit, limit) + 1.0);
    }
}

void main() {
    uint i = global_index();
    if (i >= count) return;
    if (SAME) {
        y[i] = apply(a[i], b[i]);
    } else {
        STRIDED(i, extents, strides, from)
        y[i] = apply(a[i], b[from]);
    }
}
