/* BLAKE2b (RFC 7693), unkeyed: the ledger's hash, for the compiled hot path. Python's own is the definition; this one is four lanes wide
   where the processor has AVX2, and is called without making objects. tests/properties/test_blake.py holds it to Python's. */
#include <stdint.h>
#include <string.h>

static const uint64_t pumasi_iv[8] = {
    0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
    0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL};

static const uint8_t pumasi_sigma[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

#define PUMASI_ROTR(x, n) (((x) >> (n)) | ((x) << (64 - (n))))

#define PUMASI_G(a, b, c, d, x, y)                    \
    v[a] += v[b] + (x); v[d] = PUMASI_ROTR(v[d] ^ v[a], 32); \
    v[c] += v[d];       v[b] = PUMASI_ROTR(v[b] ^ v[c], 24); \
    v[a] += v[b] + (y); v[d] = PUMASI_ROTR(v[d] ^ v[a], 16); \
    v[c] += v[d];       v[b] = PUMASI_ROTR(v[b] ^ v[c], 63);

static void pumasi_mix_plain(uint64_t h[8], const uint64_t m[16], uint64_t counted, uint64_t last) {
    uint64_t v[16];
    memcpy(v, h, 64);
    memcpy(v + 8, pumasi_iv, 64);
    v[12] ^= counted;
    v[14] ^= last;
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = pumasi_sigma[round];
        PUMASI_G(0, 4, 8, 12, m[s[0]], m[s[1]])
        PUMASI_G(1, 5, 9, 13, m[s[2]], m[s[3]])
        PUMASI_G(2, 6, 10, 14, m[s[4]], m[s[5]])
        PUMASI_G(3, 7, 11, 15, m[s[6]], m[s[7]])
        PUMASI_G(0, 5, 10, 15, m[s[8]], m[s[9]])
        PUMASI_G(1, 6, 11, 12, m[s[10]], m[s[11]])
        PUMASI_G(2, 7, 8, 13, m[s[12]], m[s[13]])
        PUMASI_G(3, 4, 9, 14, m[s[14]], m[s[15]])
    }
    for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define PUMASI_WORDS(p, q, r, t) _mm256_set_epi64x(m[t], m[r], m[q], m[p])

#define PUMASI_HALF(words, turn_d, turn_b)                        \
    a = _mm256_add_epi64(_mm256_add_epi64(a, b), words);          \
    d = turn_d(_mm256_xor_si256(d, a));                           \
    c = _mm256_add_epi64(c, d);                                   \
    b = turn_b(_mm256_xor_si256(b, c));

#define PUMASI_TURN32(x) _mm256_shuffle_epi32(x, 0xB1)
#define PUMASI_TURN24(x) _mm256_shuffle_epi8(x, by24)
#define PUMASI_TURN16(x) _mm256_shuffle_epi8(x, by16)
#define PUMASI_TURN63(x) _mm256_xor_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x))

__attribute__((target("avx2")))
static void pumasi_mix_wide(uint64_t h[8], const uint64_t m[16], uint64_t counted, uint64_t last) {
    const __m256i by24 = _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
                                          3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
    const __m256i by16 = _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
                                          2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
    __m256i low = _mm256_loadu_si256((const __m256i *)h), high = _mm256_loadu_si256((const __m256i *)(h + 4));
    __m256i a = low, b = high, c = _mm256_loadu_si256((const __m256i *)pumasi_iv);
    __m256i d = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(pumasi_iv + 4)), _mm256_set_epi64x(0, last, 0, counted));
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = pumasi_sigma[round];
        PUMASI_HALF(PUMASI_WORDS(s[0], s[2], s[4], s[6]), PUMASI_TURN32, PUMASI_TURN24)
        PUMASI_HALF(PUMASI_WORDS(s[1], s[3], s[5], s[7]), PUMASI_TURN16, PUMASI_TURN63)
        b = _mm256_permute4x64_epi64(b, 0x39);
        c = _mm256_permute4x64_epi64(c, 0x4E);
        d = _mm256_permute4x64_epi64(d, 0x93);
        PUMASI_HALF(PUMASI_WORDS(s[8], s[10], s[12], s[14]), PUMASI_TURN32, PUMASI_TURN24)
        PUMASI_HALF(PUMASI_WORDS(s[9], s[11], s[13], s[15]), PUMASI_TURN16, PUMASI_TURN63)
        b = _mm256_permute4x64_epi64(b, 0x93);
        c = _mm256_permute4x64_epi64(c, 0x4E);
        d = _mm256_permute4x64_epi64(d, 0x39);
    }
    _mm256_storeu_si256((__m256i *)h, _mm256_xor_si256(low, _mm256_xor_si256(a, c)));
    _mm256_storeu_si256((__m256i *)(h + 4), _mm256_xor_si256(high, _mm256_xor_si256(b, d)));
}

static int pumasi_is_wide(void) { return __builtin_cpu_supports("avx2"); }
#else
#define pumasi_mix_wide pumasi_mix_plain
static int pumasi_is_wide(void) { return 0; }
#endif

/* The hash of `length` bytes: `digest_size` bytes of it, at most 64, to `out`. Words are little-endian, as the processor's must be. */
static void pumasi_blake2b(const char *data, size_t length, int digest_size, int wide, unsigned char *out) {
    uint64_t h[8], m[16];
    uint64_t counted = 0;
    memcpy(h, pumasi_iv, 64);
    h[0] ^= 0x01010000ULL ^ (uint64_t)digest_size;
    while (length > 128) {
        memcpy(m, data, 128);
        counted += 128;
        (wide ? pumasi_mix_wide : pumasi_mix_plain)(h, m, counted, 0);
        data += 128;
        length -= 128;
    }
    memset(m, 0, 128);
    memcpy(m, data, length);
    (wide ? pumasi_mix_wide : pumasi_mix_plain)(h, m, counted + length, ~0ULL);
    memcpy(out, h, digest_size);
}
