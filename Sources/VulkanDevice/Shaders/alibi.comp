// y[h][t][c] = −slope[h] · |cell position − position|.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer S { float slopes[]; };
layout(set = 0, binding = 1) readonly buffer P { int positions[]; };
layout(set = 0, binding = 2) readonly buffer C { int cell_positions[]; };
layout(set = 0, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, tokens, cells; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint cell = i % cells, token = i / cells % tokens, head = i / (cells * tokens);
    y[i] = -slopes[head] * float(abs(cell_positions[cell] - positions[token]));
}
