// 0 for the cells of greatest score, equal scores in order of index, −∞ elsewhere; one invocation a token.
// Each pass finds the next in that order after the one before, so nothing is kept between passes.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer X { float scores[]; };
layout(set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint tokens, cells, limit; };

void main() {
    uint token = global_index();
    if (token >= tokens) return;
    uint first = token * cells;
    const float hidden = uintBitsToFloat(0xff800000u);
    for (uint c = 0; c < cells; c++) y[first + c] = hidden;
    float last_score = uintBitsToFloat(0x7f800000u);
    uint last = 0xffffffffu;
    for (uint i = 0; i < limit; i++) {
        float next_score = hidden;
        uint next = 0xffffffffu;
        for (uint c = 0; c < cells; c++) {
            float score = scores[first + c];
            bool follows = score < last_score || (score == last_score && last != 0xffffffffu && c > last);
            if (follows && score > next_score) {
                next_score = score;
                next = c;
            }
        }
        if (next == 0xffffffffu) return;
        y[first + next] = 0.0;
        last_score = next_score;
        last = next;
    }
}
