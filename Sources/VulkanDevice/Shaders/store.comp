// cache[cells[t]][…] = x[t][…], rounded to half precision where the cache is kept so.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "half.glsl"

layout(constant_id = 0) const bool HALF = false;

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer C { int cells[]; };
layout(set = 0, binding = 2) writeonly buffer S { float cache[]; };
layout(push_constant) uniform Push { uint count, columns; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint to = uint(cells[i / columns]) * columns + i % columns;
    cache[to] = HALF ? rounded_to_half(x[i]) : x[i];
}
