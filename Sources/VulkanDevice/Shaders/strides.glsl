// Walks of up to six dimensions, outermost first; unused ones have extent 1.

const uint RANK = 6;

// Where element `i`, counted row-major over `extents`, lies in memory of the given strides.
#define STRIDED(i, extents, strides, position)              \
    uint position = 0;                                      \
    {                                                       \
        uint rest = i;                                      \
        for (int axis = int(RANK) - 1; axis >= 0; axis--) { \
            position += rest % extents[axis] * strides[axis]; \
            rest /= extents[axis];                          \
        }                                                   \
    }
