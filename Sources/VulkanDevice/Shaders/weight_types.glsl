// Numbered as `WeightFormat` is.
const uint TYPE_F32 = 0, TYPE_F16 = 1, TYPE_BF16 = 2, TYPE_Q8_0 = 3, TYPE_Q4_0 = 4;
