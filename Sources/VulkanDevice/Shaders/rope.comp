// Rotates pairs of elements of each head by angles whose cosines and sines the host supplies: a device's
// own are poor for the large angles of late positions.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

// Pairs (i, i + dimensions / 2) instead of (2i, 2i + 1).
layout(constant_id = 0) const bool NEOX = false;

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
// [T, dimensions / 2] of (cosine, sine), times the magnitude.
layout(set = 0, binding = 1) readonly buffer Angles { vec2 angles[]; };
layout(set = 0, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, heads, head_size, offset, dimensions; };

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint element = i % head_size;
    if (element < offset || element >= offset + dimensions) {
        y[i] = x[i];
        return;
    }
    uint token = i / (heads * head_size), pairs = dimensions / 2, e = element - offset;
    bool first = NEOX ? e < pairs : e % 2 == 0;
    uint pair = NEOX ? e % pairs : e / 2;
    uint distance = NEOX ? pairs : 1;
    vec2 angle = angles[token * pairs + pair];
    y[i] = first ? x[i] * angle.x - x[i + distance] * angle.y : x[i] * angle.x + x[i - distance] * angle.y;
}
