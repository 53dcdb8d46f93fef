// y = f(x), element by element.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

// Numbered as in `Lowering`.
layout(constant_id = 0) const uint FUNCTION = 0;

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count; float a, b; };

float apply(float v) {
    switch (FUNCTION) {
    case 0: return silu(v);
    case 1: return gelu(v);
    case 2: return max(v, 0.0);
    case 3: return max(v, 0.0) * max(v, 0.0);
    case 4: return sigmoid(v);
    case 5: return hyperbolic_tangent(v);
    case 6: return exponential(v);
    case 7: return softplus(v);
    case 8: return v * a + b;
    case 9: return min(max(v, a), b);
    case 10: return a * hyperbolic_tangent(v / a);
    case 12: return sqrt(softplus(v));
    default: return gelu_erf(v);
    }
}

void main() {
    uint i = global_index();
    if (i < count) y[i] = apply(x[i]);
}
