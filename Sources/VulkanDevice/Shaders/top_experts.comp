// The experts of greatest score, best first, equal scores in order of index; one invocation a token.
// Each pass finds the next in that order after the one before, so nothing is kept between passes.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(set = 0, binding = 0) readonly buffer X { float scores[]; };
layout(set = 0, binding = 1) writeonly buffer Y { int experts[]; };
layout(push_constant) uniform Push { uint tokens, count, used, groups, groups_used, group_best; };

struct Ranked { float score; int index; };

bool precedes(Ranked a, Ranked b) { return a.score > b.score || (a.score == b.score && a.index < b.index); }

// The best score of a group, or the sum of its two best; of its one score, if it has one only.
Ranked group_score(uint first, uint size, uint group) {
    float best = scores[first + group * size], second = LOWEST;
    for (uint i = 1; i < size; i++) {
        float score = scores[first + group * size + i];
        if (score > best) {
            second = best;
            best = score;
        } else {
            second = max(second, score);
        }
    }
    return Ranked(size > 1 && group_best > 1 ? best + second : best, int(group));
}

void main() {
    uint token = global_index();
    if (token >= tokens) return;
    uint first = token * count, size = count / groups;
    const Ranked before_all = Ranked(uintBitsToFloat(0x7f800000u), -1);
    const Ranked after_all = Ranked(uintBitsToFloat(0xff800000u), 0x7fffffff);

    // The last group that may be used: the groups that do not come after it are its equals.
    Ranked last_group = before_all;
    for (uint i = 0; i < groups_used && groups > 1; i++) {
        Ranked next = after_all;
        for (uint g = 0; g < groups; g++) {
            Ranked candidate = group_score(first, size, g);
            if (precedes(last_group, candidate) && precedes(candidate, next)) next = candidate;
        }
        last_group = next;
    }

    Ranked last = before_all;
    for (uint i = 0; i < used; i++) {
        Ranked next = after_all;
        for (uint g = 0; g < groups; g++) {
            if (groups > 1 && precedes(last_group, group_score(first, size, g))) continue;
            for (uint e = g * size; e < (g + 1) * size; e++) {
                Ranked candidate = Ranked(scores[first + e], int(e));
                if (precedes(last, candidate) && precedes(candidate, next)) next = candidate;
            }
        }
        experts[token * used + i] = min(next.index, int(count) - 1);
        last = next;
    }
}
