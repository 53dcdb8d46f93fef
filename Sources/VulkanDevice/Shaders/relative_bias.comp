// y[h][t][c] = table[bucket(cell position − position)][h]. The host gives the least distance of each
// bucket of one direction: its logarithms decide on exact integers, a device's would not.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const bool BIDIRECTIONAL = false;

layout(set = 0, binding = 0) readonly buffer T { float table[]; };
layout(set = 0, binding = 1) readonly buffer D { int least_distances[]; };
layout(set = 0, binding = 2) readonly buffer P { int positions[]; };
layout(set = 0, binding = 3) readonly buffer C { int cell_positions[]; };
layout(set = 0, binding = 4) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, heads, tokens, cells, buckets; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint cell = i % cells, token = i / cells % tokens, head = i / (cells * tokens);
    int relative = cell_positions[cell] - positions[token];
    // Buckets of one direction; those of later cells follow those of earlier ones.
    uint first = BIDIRECTIONAL && relative > 0 ? buckets : 0;
    int distance = BIDIRECTIONAL ? abs(relative) : max(-relative, 0);
    uint bucket = 0;
    while (bucket + 1 < buckets && distance >= least_distances[bucket + 1]) bucket++;
    y[i] = table[(first + bucket) * heads + head];
}
