// Softmax of the last dimension, one workgroup a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"
#include "math.glsl"

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint rows, columns; };

void main() {
    uint row = group_index();
    if (row >= rows) return;
    uint first = row * columns;

    float greatest = LOWEST;
    for (uint i = lane(); i < columns; i += GROUP) greatest = max(greatest, x[first + i]);
    greatest = reduce_max(greatest);
    float total = 0.0;
    for (uint i = lane(); i < columns; i += GROUP) total += exponential(x[first + i] - greatest);
    total = reduce_sum(total);
    for (uint i = lane(); i < columns; i += GROUP)
        y[first + i] = exponential(x[first + i] - greatest) / total;
}
