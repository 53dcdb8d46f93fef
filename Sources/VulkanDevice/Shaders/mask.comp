// 0 where token t may see cell c, −∞ elsewhere: `Mask.isVisible`, and sequences that meet.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const bool CAUSAL = false;
// 0 unlimited, 1 sliding, 2 chunked, 3 symmetric.
layout(constant_id = 1) const uint WINDOW = 0;

layout(set = 0, binding = 0) readonly buffer P { int positions[]; };
layout(set = 0, binding = 1) readonly buffer S { int sequences[]; };
layout(set = 0, binding = 2) readonly buffer CP { int cell_positions[]; };
layout(set = 0, binding = 3) readonly buffer CS { int cell_sequences[]; };
layout(set = 0, binding = 4) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count, cells; int window; };

bool visible(int cell, int position) {
    if (cell < 0 || (CAUSAL && cell > position)) return false;
    if (WINDOW == 1) return position - cell < window;
    if (WINDOW == 2) return cell >= position / window * window;
    if (WINDOW == 3) return abs(position - cell) <= window;
    return true;
}

void main() {
    uint i = global_index();
    if (i >= count) return;
    uint token = i / cells, cell = i % cells;
    bool meets = (sequences[token] & cell_sequences[cell]) != 0;
    y[i] = meets && visible(cell_positions[cell], positions[token]) ? 0.0 : uintBitsToFloat(0xff800000u);
}
