// Sums and maxima over a workgroup. Every invocation calls, and gets the result. A tree in shared
// memory: it assumes nothing of subgroups, and its rounding error grows with the logarithm only.

shared float partial[GROUP];

#define REDUCE(name, combine)                                   \
    float name(float x) {                                       \
        barrier();                                              \
        partial[lane()] = x;                                    \
        for (uint half_ = GROUP / 2; half_ > 0; half_ /= 2) {   \
            barrier();                                          \
            if (lane() < half_)                                 \
                partial[lane()] = combine(partial[lane()], partial[lane() + half_]); \
        }                                                       \
        barrier();                                              \
        return partial[0];                                      \
    }

float add(float a, float b) { return a + b; }

REDUCE(reduce_sum, add)
REDUCE(reduce_max, max)
