// Elements of a weight in its own type. Blocks need not begin at a word, so bytes are picked from words.
// The including shader declares `uint weight[]` as a buffer and, before that, includes weight_types.glsl.

uint weight_byte(uint i) { return weight[i >> 2] >> ((i & 3) * 8) & 0xffu; }
// At an even byte.
uint weight_half(uint i) { return weight[i >> 2] >> ((i & 2) * 8) & 0xffffu; }

// IEEE half to single, exact: unpackHalf2x16 may flush subnormals.
float half_value(uint h) {
    uint magnitude = h & 0x7fffu;
    float x = uintBitsToFloat((magnitude << 13) + (112u << 23));
    if (magnitude < 0x0400u) x = float(magnitude) * 5.9604644775390625e-8;
    if (magnitude >= 0x7c00u) x = uintBitsToFloat((magnitude << 13) + (224u << 23));
    return (h & 0x8000u) != 0 ? -x : x;
}

// Element `column` of row `row`, of rows of `columns` elements.
float weight_value(uint row, uint column, uint columns) {
    if (TYPE == TYPE_Q8_0) {
        uint block = (row * (columns / 32) + column / 32) * 34;
        int q = int(weight_byte(block + 2 + column % 32) << 24) >> 24;
        return half_value(weight_half(block)) * float(q);
    }
    if (TYPE == TYPE_Q4_0) {
        uint block = (row * (columns / 32) + column / 32) * 18;
        uint pair = weight_byte(block + 2 + column % 16);
        int q = int(column % 32 < 16 ? pair & 15u : pair >> 4) - 8;
        return half_value(weight_half(block)) * float(q);
    }
    uint i = row * columns + column;
    if (TYPE == TYPE_F16) return half_value(weight_half(i * 2));
    if (TYPE == TYPE_BF16) return uintBitsToFloat(weight_half(i * 2) << 16);
    return uintBitsToFloat(weight[i]);
}
