// Elementary functions to about two units in the last place, from operations that Vulkan rounds
// correctly: its own exp, log and tanh may be off by far more, differently on each device.

// 2^n for n in -126 ... 127.
float power_of_two(int n) { return uintBitsToFloat(uint(n + 127) << 23); }

// Range reduction by ln 2 in two parts and the minimax polynomial of Cephes' expf.
float exponential(float x) {
    float bounded = clamp(x, -105.0, 89.0);
    float n = roundEven(bounded * 1.44269504088896341);
    float r = bounded - n * 0.693359375 + n * 2.12194440e-4;
    float p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    // In two factors, so that neither overflows where the product does not.
    int first = int(n) / 2;
    float y = (p * r * r + r + 1.0) * power_of_two(first) * power_of_two(int(n) - first);
    return isnan(x) ? x : y;
}

// ln(1 + x) for x in 0 ... 1, as 2 artanh(x / (2 + x)) by its series.
float log_one_plus(float x) {
    float s = x / (2.0 + x);
    float z = s * s;
    float p = 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    return 2.0 * (s + s * z * p);
}

float sigmoid(float x) { return 1.0 / (1.0 + exponential(-x)); }
float silu(float x) { return x * sigmoid(x); }
float softplus(float x) { return max(x, 0.0) + log_one_plus(exponential(-abs(x))); }

// Near zero the quotient would cancel; there the minimax polynomial of Cephes' tanhf.
float hyperbolic_tangent(float x) {
    if (abs(x) < 0.625) {
        float z = x * x;
        float p = -5.70498872745e-3;
        p = p * z + 2.06390887954e-2;
        p = p * z - 5.37397155531e-2;
        p = p * z + 1.33314422036e-1;
        p = p * z - 3.33332819422e-1;
        return x + x * z * p;
    }
    float e = exponential(-2.0 * abs(x));
    return sign(x) * (1.0 - e) / (1.0 + e);
}

// x/2 (1 + tanh u) is x sigmoid(2u), which does not cancel for negative u.
float gelu(float x) { return x * sigmoid(2.0 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)); }

// With z = |x|/sqrt(2): small z by erf's odd polynomial, else by erfc z = t exp(p(t) - z^2), t = 1 / (1 + z/2), which
// does not cancel for negative x. The polynomials are Chebyshev fits.
float gelu_erf(float x) {
    float z = abs(x) * 0.70710678118654752440;
    float s = z * z;
    if (z < 0.5) {
        float q = 0.004818088596;
        q = q * s - 0.02680410701;
        q = q * s + 0.1128348759;
        q = q * s - 0.3761263668;
        return 0.5 * x * (1.0 + sign(x) * (z * (1.1283791670955126 + s * q)));
    }
    float t = 1.0 / (1.0 + 0.5 * z);
    float p = -0.1700734879;
    p = p * t + 0.4340793452;
    p = p * t - 0.1924994453;
    p = p * t - 0.2314914028;
    p = p * t - 0.01379536633;
    p = p * t + 0.06054589827;
    p = p * t + 0.3786498323;
    p = p * t + 0.9997113378;
    p = p * t - 1.265503306;
    float tail = 0.5 * x * (t * exponential(p - s));
    return x < 0.0 ? tail : x - tail;
}
