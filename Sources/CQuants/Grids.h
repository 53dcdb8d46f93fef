#pragma once

#include <stdint.h>

/// For every combination of values of a type with a grid, numbered by its digits, the index of the nearest in the grid.
/// Made when first asked for.
const uint16_t *quants_nearest(uint32_t type);
