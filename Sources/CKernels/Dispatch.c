#include "CKernels.h"
#include <string.h>

extern const CPUKernels cpu_kernels_portable;

#if defined(__x86_64__)
extern const CPUKernels cpu_kernels_x86_64_v3, cpu_kernels_x86_64_v4;
#endif

const CPUKernels *cpu_kernels_at(long index) {
    switch (index) {
#if defined(__x86_64__)
    case 0: return __builtin_cpu_supports("x86-64-v4") ? &cpu_kernels_x86_64_v4 : 0;
    case 1: return __builtin_cpu_supports("x86-64-v3") ? &cpu_kernels_x86_64_v3 : 0;
#endif
    case CPU_INSTRUCTION_SETS - 1: return &cpu_kernels_portable;
    default: return 0;
    }
}

const CPUKernels *cpu_kernels(void) {
    for (long index = 0; index < CPU_INSTRUCTION_SETS - 1; index++) {
        const CPUKernels *kernels = cpu_kernels_at(index);
        if (kernels) return kernels;
    }
    return &cpu_kernels_portable;
}

long cpu_invalid_index(const int *indices, long count, long limit) {
    for (long i = 0; i < count; i++) {
        if (indices[i] < 0 || indices[i] >= limit) return i;
    }
    return -1;
}

void cpu_copy_rows(
    void *destination, long destination_stride, const void *source, long source_stride, long width,
    long height) {
    for (long row = 0; row < height; row++) {
        const char *from = (const char *)source + 4 * row * source_stride;
        memcpy((char *)destination + 4 * row * destination_stride, from, 4 * width);
    }
}
