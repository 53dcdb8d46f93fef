// The norms of the last dimension, one workgroup a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"

// Numbered as in `Lowering`: layer, rms, l2, unit.
layout(constant_id = 0) const uint KIND = 0;
layout(constant_id = 1) const bool WEIGHT = false;
layout(constant_id = 2) const bool BIAS = false;

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer W { float weight[]; };
layout(set = 0, binding = 2) readonly buffer B { float bias[]; };
layout(set = 0, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint rows, columns; float epsilon; };

void main() {
    uint row = group_index();
    if (row >= rows) return;
    uint first = row * columns;

    float mean = 0.0;
    if (KIND == 0) {
        float total = 0.0;
        for (uint i = lane(); i < columns; i += GROUP) total += x[first + i];
        mean = reduce_sum(total) / float(columns);
    }
    float squares = 0.0;
    for (uint i = lane(); i < columns; i += GROUP) {
        float v = x[first + i] - mean;
        squares += v * v;
    }
    squares = reduce_sum(squares);

    float divisor;
    switch (KIND) {
    case 0:
    case 1: divisor = sqrt(squares / float(columns) + epsilon); break;
    case 2: divisor = sqrt(squares + epsilon); break;
    default: divisor = max(sqrt(squares), epsilon);
    }
    for (uint i = lane(); i < columns; i += GROUP) {
        float v = (x[first + i] - mean) / divisor;
        if (WEIGHT) v *= weight[i];
        if (BIAS) v += bias[i];
        y[first + i] = v;
    }
}
