// y[b][m][n] = Σ_k x[b][m][k] · w[b or e(m)][n][k]: all products, with weights, experts, heads, keys and
// values.
//
// A workgroup makes a tile of y. Slices of x and w of 32 columns, at most one block of a quantised type, are
// decoded once into shared memory; each invocation sums ROWS × COLUMNS elements of y in registers.
// A tile of a single row shares nothing, so there each invocation reads what it needs.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "weight_types.glsl"

// Whether each row of x has a matrix of its own, given by `experts`. Needs a tile of one row.
layout(constant_id = 4) const bool EXPERTS = false;
// Rows and columns of an invocation, and invocations along the rows of a tile.
layout(constant_id = 5) const uint ROWS = 4;
layout(constant_id = 6) const uint COLUMNS = 4;
layout(constant_id = 7) const uint TILE_HEIGHT = 8;
// Whether zeros of x take nothing from w, be it infinite: attention's shares of cells that are not seen.
layout(constant_id = 8) const bool SKIP_ZEROS = false;

layout(local_size_x = 64) in;

layout(set = 0, binding = 0) readonly buffer X { float x[]; };
layout(set = 0, binding = 1) readonly buffer W { uint weight[]; };
layout(set = 0, binding = 2) readonly buffer E { int experts[]; };
layout(set = 0, binding = 3) writeonly buffer Y { float y[]; };

layout(push_constant) uniform Push {
    uint groups, tiles_m, tiles_n;
    uint m, n, k;
    // Strides in elements. `x_share` rows of y in a row read the same row of x.
    uint x_first, x_row, x_batch, x_share;
    uint y_first, y_row, y_batch;
    // `w_batch` leads to the next matrix or expert; `w_share` batches in a row read the same matrix. The
    // others are for F32 alone: other types lie row by row.
    uint w_batch, w_share, w_row, w_column;
};

#include "weights.glsl"

const uint INVOCATIONS = 64, SLICE = 32;
const uint TILE_WIDTH = INVOCATIONS / TILE_HEIGHT;
const uint TILE_M = TILE_HEIGHT * ROWS, TILE_N = TILE_WIDTH * COLUMNS;
// One more column than needed: neighbours then lie in different banks.
shared float tile_x[TILE_M * (SLICE + 1)];
shared float tile_w[TILE_N * (SLICE + 1)];

float element(uint w_first, uint row, uint column) {
    if (TYPE == TYPE_F32) return uintBitsToFloat(weight[w_first + row * w_row + column * w_column]);
    return weight_value(w_first / k + row, column, k);
}

float product(float a, float b) { return SKIP_ZEROS && a == 0.0 ? 0.0 : a * b; }

void main() {
    uint group = gl_WorkGroupID.x + gl_NumWorkGroups.x * gl_WorkGroupID.y;
    if (group >= groups) return;
    uint lane = gl_LocalInvocationID.x;
    uint first_n = group % tiles_n * TILE_N;
    uint first_m = group / tiles_n % tiles_m * TILE_M;
    uint batch = group / (tiles_n * tiles_m);
    uint w_first = (EXPERTS ? uint(experts[first_m]) : batch / w_share) * w_batch;

    if (TILE_M == 1) {
        uint column = first_n + lane, from = x_first + batch * x_batch + first_m / x_share * x_row;
        if (column >= n) return;
        float sum = 0.0;
        for (uint base = 0; base < k; base += SLICE) {
            float part = 0.0;
            for (uint j = base; j < min(k, base + SLICE); j++)
                part += product(x[from + j], element(w_first, column, j));
            sum += part;
        }
        y[y_first + batch * y_batch + first_m * y_row + column] = sum;
        return;
    }

    uint my_m = lane / TILE_WIDTH * ROWS, my_n = lane % TILE_WIDTH;

    float sums[ROWS * COLUMNS];
    for (uint i = 0; i < ROWS * COLUMNS; i++) sums[i] = 0.0;

    for (uint base = 0; base < k; base += SLICE) {
        for (uint i = lane; i < TILE_M * SLICE; i += INVOCATIONS) {
            uint row = first_m + i / SLICE, column = base + i % SLICE;
            bool inside = row < m && column < k;
            tile_x[i / SLICE * (SLICE + 1) + i % SLICE] =
                inside ? x[x_first + batch * x_batch + row / x_share * x_row + column] : 0.0;
        }
        for (uint i = lane; i < TILE_N * SLICE; i += INVOCATIONS) {
            uint row = first_n + i / SLICE, column = base + i % SLICE;
            bool inside = row < n && column < k;
            tile_w[i / SLICE * (SLICE + 1) + i % SLICE] = inside ? element(w_first, row, column) : 0.0;
        }
        barrier();
        // Summed by slices, so that rounding errors grow with their number and not with k.
        float parts[ROWS * COLUMNS];
        for (uint i = 0; i < ROWS * COLUMNS; i++) parts[i] = 0.0;
        uint slice = min(SLICE, k - base);
        for (uint j = 0; j < slice; j++) {
            float xs[ROWS];
            for (uint r = 0; r < ROWS; r++) xs[r] = tile_x[(my_m + r) * (SLICE + 1) + j];
            for (uint c = 0; c < COLUMNS; c++) {
                float w = tile_w[(my_n + c * TILE_WIDTH) * (SLICE + 1) + j];
                for (uint r = 0; r < ROWS; r++) parts[r * COLUMNS + c] += product(xs[r], w);
            }
        }
        for (uint i = 0; i < ROWS * COLUMNS; i++) sums[i] += parts[i];
        barrier();
    }

    for (uint r = 0; r < ROWS; r++) {
        for (uint c = 0; c < COLUMNS; c++) {
            uint row = first_m + my_m + r, column = first_n + my_n + c * TILE_WIDTH;
            if (row < m && column < n) y[y_first + batch * y_batch + row * y_row + column] = sums[r * COLUMNS + c];
        }
    }
}
