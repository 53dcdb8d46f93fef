// y[…] = x[…] over a box of elements: slice, concatenate and broadcast are its strides and offsets.
// Words, not floats, so that indices pass unchanged.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "strides.glsl"

layout(set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push {
    uint count, from_offset, to_offset;
    uint extents[RANK], from_strides[RANK], to_strides[RANK];
};

void main() {
    uint i = global_index();
    if (i >= count) return;
    STRIDED(i, extents, from_strides, from)
    STRIDED(i, extents, to_strides, to)
    y[to_offset + to] = x[from_offset + from];
}
