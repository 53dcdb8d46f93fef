// Tensor types, numbered as in GGUF files.
const uint TYPE_F32 = 0, TYPE_F16 = 1, TYPE_Q4_0 = 2, TYPE_Q4_1 = 3, TYPE_Q5_0 = 6, TYPE_Q5_1 = 7, TYPE_Q8_0 = 8;
const uint TYPE_Q8_1 = 9, TYPE_Q2_K = 10, TYPE_Q3_K = 11, TYPE_Q4_K = 12, TYPE_Q5_K = 13, TYPE_Q6_K = 14;
const uint TYPE_Q8_K = 15, TYPE_IQ2_XXS = 16, TYPE_IQ2_XS = 17, TYPE_IQ3_XXS = 18, TYPE_IQ1_S = 19, TYPE_IQ4_NL = 20;
const uint TYPE_IQ3_S = 21, TYPE_IQ2_S = 22, TYPE_IQ4_XS = 23, TYPE_IQ1_M = 29, TYPE_BF16 = 30, TYPE_TQ1_0 = 34;
const uint TYPE_TQ2_0 = 35, TYPE_MXFP4 = 39, TYPE_NVFP4 = 40, TYPE_Q1_0 = 41, TYPE_Q2_0 = 42;

// The type of a weight; elements and bytes of its blocks, and bytes of the grid in front of them.
layout(constant_id = 0) const uint TYPE = 0;
layout(constant_id = 1) const uint BLOCK_SIZE = 1;
layout(constant_id = 2) const uint BLOCK_BYTES = 4;
layout(constant_id = 3) const uint GRID_BYTES = 0;
