#include <stddef.h>
#include <stdint.h>

/// Runs libFuzzer with a program's arguments; calls `callback` with one input after the other.
int LLVMFuzzerRunDriver(int *argument_count, char ***arguments, int (*callback)(const uint8_t *bytes, size_t count));
