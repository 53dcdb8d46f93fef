// Sums and maxima over a workgroup of 64. Every invocation calls, and gets the result. Eight by eight in
// shared memory: that assumes nothing of subgroups, takes two barriers, and rounds little.

shared float partial[GROUP];
shared float parts[GROUP / 8];

// A call's first barrier also keeps its writes behind the last call's reads.
#define REDUCE(name, combine)                                                      \
    float name(float x) {                                                          \
        partial[lane()] = x;                                                       \
        barrier();                                                                 \
        if (lane() < 8) {                                                          \
            float part = partial[lane()];                                          \
            for (uint i = 1; i < 8; i++) part = combine(part, partial[lane() + i * 8]); \
            parts[lane()] = part;                                                  \
        }                                                                          \
        barrier();                                                                 \
        float result = parts[0];                                                   \
        for (uint i = 1; i < 8; i++) result = combine(result, parts[i]);           \
        return result;                                                             \
    }

float add(float a, float b) { return a + b; }

REDUCE(reduce_sum, add)
REDUCE(reduce_max, max)
