// The table is all there is; see include/CLlama.h.
#include "CLlama.h"
