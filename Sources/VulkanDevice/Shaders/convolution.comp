// y[t] = Σ_j weight[:, j] · x[t − K + 1 + j]; one invocation a channel, token by token, so that the state
// serves any mix of sequences.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer W { float weight[]; };
layout(set = 0, binding = 2) readonly buffer Slots { int slots[]; };
// [slot][K − 1][D], oldest first.
layout(set = 0, binding = 3) buffer S { float state[]; };
layout(set = 0, binding = 4) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint channels, tokens, taps; };

void main() {
    uint channel = global_index();
    if (channel >= channels) return;
    for (uint t = 0; t < tokens; t++) {
        uint past = uint(slots[t]) * (taps - 1) * channels + channel;
        float now = x[t * channels + channel];
        float sum = 0.0;
        for (uint j = 0; j + 1 < taps; j++) {
            sum += weight[channel * taps + j] * state[past + j * channels];
            state[past + j * channels] = j + 2 < taps ? state[past + (j + 1) * channels] : now;
        }
        y[t * channels + channel] = sum + weight[channel * taps + taps - 1] * now;
    }
}
