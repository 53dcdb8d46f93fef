// y = xielu(x), element by element.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count; float positive, negative, beta, epsilon; };

// e^m - 1 is 2t / (1 - t) with t = tanh(m/2), which does not cancel.
float curve(float v) {
    if (v > 0.0) return positive * v * v;
    float t = hyperbolic_tangent(0.5 * min(v, epsilon));
    return negative * (2.0 * t / (1.0 - t) - v);
}

void main() {
    uint i = global_index();
    if (i < count) y[i] = curve(x[i]) + beta * x[i];
}
