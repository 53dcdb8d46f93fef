// y[t][i] = x[t][experts[t][i]].
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer E { int experts[]; };
layout(set = 0, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, columns, used; };

void main() {
    uint i = global_index();
    if (i < count) y[i] = x[i / used * columns + uint(experts[i])];
}
