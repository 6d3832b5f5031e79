/*
 * rng.c: see rng.h. The numbers are part of the encodings' definition
 * (invar/1): stored encodings were made with them, so they may never change,
 * and they use no libm function but sqrt, whose results differ between
 * machines. No shared state: a stream belongs to the thread that made it.
 */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* The output function of splitmix64: a bijection of 64-bit words. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* FNV-1a */
static uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

void inv_stream_init(struct inv_stream *stream, uint64_t seed,
                     const char *purpose, uint64_t index) {
    /* For one seed and purpose this is a bijection of the index: no two
     * streams start at the same place. */
    uint64_t key = mix(mix(seed + GOLDEN) ^ hash_text(purpose));
    *stream = (struct inv_stream){.state = mix(key + GOLDEN * index)};
}

uint64_t inv_stream_next(struct inv_stream *stream) {
    stream->state += GOLDEN;
    return mix(stream->state);
}

/* Multiply and reject (Lemire, arXiv 1805.10941): one draw nearly always. */
uint32_t inv_stream_below(struct inv_stream *stream, uint32_t n) {
    uint64_t product = (inv_stream_next(stream) >> 32) * n;
    if ((uint32_t)product < n) {
        uint32_t reject = (0 - n) % n; /* 2^32 mod n */
        while ((uint32_t)product < reject)
            product = (inv_stream_next(stream) >> 32) * n;
    }
    return (uint32_t)(product >> 32);
}

double inv_stream_uniform(struct inv_stream *stream) {
    return (double)(inv_stream_next(stream) >> 11) * 0x1p-53;
}

/* ln x for a normal x > 0, to about 1e-16: x = m * 2^e with m within
 * [sqrt(1/2), sqrt(2)), and ln m = 2 atanh((m - 1) / (m + 1)). The C library's
 * log may take a fused path on one machine and not on another. */
static double stable_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0xfffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m /= 2;
        e++;
    }
    double t = (m - 1) / (m + 1); /* |t| < .172: t^2 < .0295 */
    double square = t * t;
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return e * 0x1.62e42fefa39efp-1 + 2 * t * sum;
}

float inv_stream_normal(struct inv_stream *stream) {
    if (stream->has_spare) {
        stream->has_spare = 0;
        return stream->spare;
    }
    double u;
    double v;
    double s;
    do { /* Marsaglia's polar method: 24 bits for each coordinate */
        uint64_t bits = inv_stream_next(stream);
        u = (double)(bits >> 40) * 0x1p-23 - 1;
        v = (double)(bits & 0xffffff) * 0x1p-23 - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    double factor = sqrt(-2 * stable_log(s) / s);
    stream->spare = (float)(v * factor);
    stream->has_spare = 1;
    return (float)(u * factor);
}

void inv_mt_init(struct inv_mt *mt, uint32_t seed) {
    mt->word[0] = seed;
    for (uint32_t i = 1; i < 624; i++) {
        uint32_t last = mt->word[i - 1];
        mt->word[i] = UINT32_C(1812433253) * (last ^ (last >> 30)) + i;
    }
    mt->next = 624;
}

static void mt_refill(struct inv_mt *mt) {
    uint32_t *word = mt->word;
    for (int i = 0; i < 624; i++) {
        uint32_t joined = (word[i] & UINT32_C(0x80000000)) |
                          (word[(i + 1) % 624] & UINT32_C(0x7fffffff));
        uint32_t twist = (joined & 1) ? UINT32_C(0x9908b0df) : 0;
        word[i] = word[(i + 397) % 624] ^ (joined >> 1) ^ twist;
    }
    mt->next = 0;
}

uint32_t inv_mt_next(struct inv_mt *mt) {
    if (mt->next >= 624)
        mt_refill(mt);
    uint32_t x = mt->word[mt->next++];
    x ^= x >> 11;
    x ^= (x << 7) & UINT32_C(0x9d2c5680);
    x ^= (x << 15) & UINT32_C(0xefc60000);
    return x ^ (x >> 18);
}
