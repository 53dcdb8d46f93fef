// Compiles the functions of a file once for each instruction set. Of a source file that says
//
//     #define LOOPS "Loops.h"
//     #include "InstructionSets.h"
//
// and whose Loops.h defines functions of the names NAME(f), BEST(f) is the one for this machine's processor.

#define NAME(f) base_##f
#include LOOPS
#undef NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#define NAME(f) v3_##f
#include LOOPS
#undef NAME
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#define NAME(f) v4_##f
#include LOOPS
#undef NAME
#pragma clang attribute pop

#define BEST(f)                                   \
    (__builtin_cpu_supports("x86-64-v4") ? v4_##f \
     : __builtin_cpu_supports("x86-64-v3") ? v3_##f : base_##f)
#else
#define BEST(f) base_##f
#endif
