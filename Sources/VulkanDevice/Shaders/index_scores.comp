// y[t][c] = Σ_h weights[t][h] · max(0, queries[t][h] · keys[c]) + mask[t][c]; one invocation an element.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer Q { float queries[]; };
layout(set = 0, binding = 1) readonly buffer K { float keys[]; };
layout(set = 0, binding = 2) readonly buffer W { float weights[]; };
layout(set = 0, binding = 3) readonly buffer M { float mask[]; };
layout(set = 0, binding = 4) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, cells, heads, size; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint token = i / cells, cell = i % cells;
    float sum = 0.0;
    for (uint h = 0; h < heads; h++) {
        float product = 0.0;
        for (uint j = 0; j < size; j++) product += queries[(token * heads + h) * size + j] * keys[cell * size + j];
        sum += weights[token * heads + h] * max(product, 0.0);
    }
    // Whatever a hidden cell holds, its score is −∞.
    y[i] = mask[i] < LOWEST ? mask[i] : sum + mask[i];
}
