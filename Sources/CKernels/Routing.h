// Selection of experts and of cells.

static void top_experts(
    const float *scores, int *y, long tokens, long experts, long used, long groups, long groups_used,
    long group_best) {
    const long size = experts / groups;
    unsigned char open[experts];
    float group_scores[groups];
    for (long t = 0; t < tokens; t++, scores += experts, y += used) {
        memset(open, groups_used == groups, experts);
        if (groups_used < groups) {
            for (long g = 0; g < groups; g++) {
                float best = -INFINITY, second = -INFINITY;
                for (long e = g * size; e < (g + 1) * size; e++) {
                    if (scores[e] > best) { second = best; best = scores[e]; }
                    else if (scores[e] > second) second = scores[e];
                }
                group_scores[g] = size == 1 || group_best == 1 ? best : best + second;
            }
            for (long i = 0; i < groups_used; i++) {
                long best = -1;
                for (long g = 0; g < groups; g++) {
                    if (!open[g * size] && (best < 0 || group_scores[g] > group_scores[best])) best = g;
                }
                memset(open + best * size, 1, size);
            }
        }
        for (long i = 0; i < used; i++) {
            long best = -1;
            for (long e = 0; e < experts; e++) {
                if (open[e] && (best < 0 || scores[e] > scores[best])) best = e;
            }
            open[best] = 0;
            y[i] = (int)best;
        }
    }
}

static void top_cells(const float *scores, float *y, long tokens, long cells, long count) {
    for (long t = 0; t < tokens; t++, scores += cells, y += cells) {
        for (long c = 0; c < cells; c++) y[c] = -INFINITY;
        for (long i = 0; i < count && i < cells; i++) {
            long best = -1;
            for (long c = 0; c < cells; c++) {
                if (y[c] < 0 && scores[c] > (best < 0 ? -INFINITY : scores[best])) best = c;
            }
            if (best < 0) break;
            y[best] = 0;
        }
    }
}
