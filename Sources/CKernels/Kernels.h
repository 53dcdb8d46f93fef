// All kernels, for the instruction set of the file that includes this.

#include "Vectors.h"
#include "ElementaryFunctions.h"
#include "Multiply.h"
#include "Elementwise.h"
#include "Reductions.h"
#include "Attention.h"
#include "Routing.h"
#include "Scans.h"

const CPUKernels KERNELS = {
    .name = KERNELS_NAME,
    .decode = decode,
    .round_to_half = round_to_half,
    .matmul = matmul,
    .weighted_sum = weighted_sum,
    .attention = attention,
    .unary = unary,
    .binary = binary,
    .affine = affine,
    .clamp = clamp,
    .softcap = softcap,
    .gated = gated,
    .sum = sum_axis,
    .norm = norm,
    .softmax = softmax,
    .rope_table = rope_table,
    .rope = rope,
    .mask = mask,
    .index_scores = index_scores,
    .top_cells = top_cells,
    .top_experts = top_experts,
    .convolution = convolution,
    .selective_scan = selective_scan,
    .gated_delta_rule = gated_delta_rule,
    .linear_attention = linear_attention,
    .wkv7 = wkv7,
};
