// Elementary functions of vectors, within about one unit in the last place over the whole range.
// The polynomials are Chebyshev fits of the remainder named beside each.

INLINE vf power_of_two(vi n) { return (vf)((n + 127) << 23); }

/// eˣ = 2ⁿ·eʳ, |r| ≤ ln 2 / 2; (eʳ − 1 − r) / r² by a polynomial.
INLINE vf v_exp(vf x) {
    const vf clamped = x > splat(90) ? splat(90) : (x < splat(-105) ? splat(-105) : x);
    // Adding 1.5·2²³ leaves the nearest integer in the low bits.
    const vf magic = splat(12582912.0f);
    const vf shifted = clamped * splat(1.44269504088896341f) + magic;
    const vf n = shifted - magic;
    // ln 2 in two parts, the first with few bits, so that its product with n is exact.
    const vf r = (clamped - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
    vf p = splat(0.0013926175888627768f);
    p = p * r + splat(0.008363173343241215f);
    p = p * r + splat(0.041666556149721146f);
    p = p * r + splat(0.16666577756404877f);
    p = p * r + splat(0.5f);
    p = p * (r * r) + r + splat(1);
    // In two steps, since 2ⁿ alone may overflow or be subnormal.
    const vi exponent = (vi)shifted - (vi)magic;
    const vi half = exponent >> 1;
    return p * power_of_two(half) * power_of_two(exponent - half);
}

INLINE vf v_sigmoid(vf x) { return splat(1) / (splat(1) + v_exp(-x)); }

/// Small |x|: (tanh x − x) / x³ by a polynomial in x²; else 1 − 2 / (e²ˣ + 1).
INLINE vf v_tanh(vf x) {
    const vf a = x < splat(0) ? -x : x;
    const vf z = x * x;
    vf p = splat(-0.006096714176237583f);
    p = p * z + splat(0.020997179672122f);
    p = p * z + splat(-0.05385090783238411f);
    p = p * z + splat(0.1333276927471161f);
    p = p * z + splat(-0.333333283662796f);
    const vf small = x + x * (z * p);
    const vf large = splat(1) - splat(2) / (v_exp(a + a) + splat(1));
    return a < splat(0.625f) ? small : (x < splat(0) ? -large : large);
}

/// ln(1 + y), 0 ≤ y ≤ 1, as 2·atanh(s), s = y / (2 + y); (atanh s − s) / s³ by a polynomial in s².
INLINE vf v_log1p(vf y) {
    const vf s = y / (splat(2) + y);
    const vf z = s * s;
    vf p = splat(0.1342574954032898f);
    p = p * z + splat(0.14118309319019318f);
    p = p * z + splat(0.20003780722618103f);
    p = p * z + splat(0.33333319425582886f);
    return splat(2) * (s + s * (z * p));
}

INLINE vf v_softplus(vf x) {
    const vf a = x < splat(0) ? -x : x;
    return (x > splat(0) ? x : splat(0)) + v_log1p(v_exp(-a));
}

INLINE vf v_silu(vf x) { return x / (splat(1) + v_exp(-x)); }

/// x/2·(1 + tanh u) = x·sigmoid(2u), which does not cancel where tanh is near −1.
INLINE vf v_gelu(vf x) {
    const vf u = splat(1.5957691216057308f) * (x * (splat(0.044715f) * (x * x) + splat(1)));
    return x / (splat(1) + v_exp(-u));
}

/// With z = |x|/√2, small z: x/2·(1 + erf z), (erf z / z − 2/√π) / z² by a polynomial in z². Else by
/// erfc z = t·exp(p(t) − z²), t = 1 / (1 + z/2), p(t) = ln(erfc z / t) + z², which does not cancel where erf is near
/// −1.
INLINE vf v_gelu_erf(vf x) {
    const vf z = (x < splat(0) ? -x : x) * splat(0.70710678118654752f);
    const vf s = z * z;
    vf q = splat(0.004818088596f);
    q = q * s + splat(-0.02680410701f);
    q = q * s + splat(0.1128348759f);
    q = q * s + splat(-0.3761263668f);
    const vf error = z * (splat(1.1283791670955126f) + s * q);
    const vf half = splat(0.5f) * x;

    const vf t = splat(1) / (splat(1) + splat(0.5f) * z);
    vf p = splat(-0.1700734879f);
    p = p * t + splat(0.4340793452f);
    p = p * t + splat(-0.1924994453f);
    p = p * t + splat(-0.2314914028f);
    p = p * t + splat(-0.01379536633f);
    p = p * t + splat(0.06054589827f);
    p = p * t + splat(0.3786498323f);
    p = p * t + splat(0.9997113378f);
    p = p * t + splat(-1.265503306f);
    const vf tail = half * (t * v_exp(p - s));
    return z < splat(0.5f) ? half + half * (x < splat(0) ? -error : error) : (x < splat(0) ? tail : x - tail);
}
