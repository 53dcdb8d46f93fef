// y[t][i] = experts[t][i] / size.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer E { int experts[]; };
layout(set = 0, binding = 1) writeonly buffer Y { int groups[]; };
layout(push_constant) uniform Push { uint count, size; };

void main() {
    uint i = global_index();
    if (i < count) groups[i] = experts[i] / int(size);
}
