// y[o][i] = Σ_a x[o][a][i]. An invocation for each sum.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, extent, inner; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint first = i / inner * extent * inner + i % inner;
    float total = 0.0;
    for (uint a = 0; a < extent; a++) total += x[first + a * inner];
    y[i] = total;
}
