// y[t] = the input of the previous token of the same sequence; one invocation an element.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer Slots { int slots[]; };
layout(set = 0, binding = 2) buffer S { float state[]; };
layout(set = 0, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint columns, tokens; };

void main() {
    uint d = global_index();
    if (d >= columns) return;
    for (uint t = 0; t < tokens; t++) {
        uint past = uint(slots[t]) * columns + d;
        y[t * columns + d] = state[past];
        state[past] = x[t * columns + d];
    }
}
