// Included once for each instruction set.

static void NAME(normal)(float *y, long count, uint64_t counter, double mean, double step) {
    for (long i = 0; i < count; i++) {
        counter += WEIGHTS_STEP;
        uint64_t bits = mix(counter);
        // The four fields in two pairs, then both: no sum has more than 18 bits, so none reaches the next.
        uint64_t pairs = (bits & 0x0000FFFF0000FFFF) + (bits >> 16 & 0x0000FFFF0000FFFF);
        int32_t sum = (int32_t)(pairs + (pairs >> 32));
        y[i] = (float)(mean + (double)(sum - 131070) * step);
    }
}

static void NAME(uniform)(float *y, long count, uint64_t counter, double lower, double step) {
    for (long i = 0; i < count; i++) {
        counter += WEIGHTS_STEP;
        y[i] = (float)(lower + (double)(int32_t)(mix(counter) >> 40) * step);
    }
}

static void NAME(disturb)(float *y, long count, uint64_t counter, uint32_t zeros, uint32_t outliers) {
    for (long i = 0; i < count; i++) {
        counter += WEIGHTS_STEP;
        uint64_t extra = mix(mix(counter) ^ 0xD1B54A32D192ED03);
        float scale = (uint32_t)(extra >> 32 & 0xFFFF) < outliers ? 64 : 1;
        y[i] = (uint32_t)(extra >> 48) < zeros ? 0 : y[i] * scale;
    }
}
