// y[i][…] = table[indices[i]][…], decoded. Words, not floats, so that indices pass unchanged.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "weight_types.glsl"


layout(set = 0, binding = 0) readonly buffer Table { uint weight[]; };
layout(set = 0, binding = 1) readonly buffer Indices { int indices[]; };
layout(set = 0, binding = 2) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push { uint count, columns; };

#include "weights.glsl"

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint row = uint(indices[i / columns]), column = i % columns;
    y[i] = TYPE == TYPE_F32 ? weight[row * columns + column]
                            : floatBitsToUint(weight_value(row, column, columns));
}
