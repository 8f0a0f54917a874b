/* BLAKE2b (RFC 7693), unkeyed: the ledger's hash, for the compiled hot path. Python's own is the definition; this one is called without
   making objects. (Four lanes wide, with AVX2, it was slower.) tests/properties/test_blake.py holds it to Python's. */
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

static void pumasi_mix(uint64_t h[8], const uint64_t m[16], uint64_t counted, uint64_t last) {
    uint64_t v[16];
    memcpy(v, h, 64);
    memcpy(v + 8, pumasi_iv, 64);
    v[12] ^= counted;
    v[14] ^= last;
    _Pragma("GCC unroll 12") for (int round = 0; round < 12; round++) {
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

/* All but the beginning: the last block is padded, and says that it is the last. */
static void pumasi_blake2b_rest(uint64_t h[8], uint64_t counted, const char *data, size_t length, int digest_size, unsigned char *out) {
    uint64_t m[16];
    while (length > 128) {
        memcpy(m, data, 128);
        counted += 128;
        pumasi_mix(h, m, counted, 0);
        data += 128;
        length -= 128;
    }
    memset(m, 0, 128);
    memcpy(m, data, length);
    pumasi_mix(h, m, counted + length, ~0ULL);
    memcpy(out, h, digest_size);
}

static void pumasi_blake2b_begin(uint64_t h[8], int digest_size) {
    memcpy(h, pumasi_iv, 64);
    h[0] ^= 0x01010000ULL ^ (uint64_t)digest_size;
}

/* The hash of `length` bytes: `digest_size` bytes of it, at most 64, to `out`. Words are little-endian, as the processor's must be. */
static void pumasi_blake2b(const char *data, size_t length, int digest_size, unsigned char *out) {
    uint64_t h[8];
    pumasi_blake2b_begin(h, digest_size);
    pumasi_blake2b_rest(h, 0, data, length, digest_size, out);
}

/* The hash, 32 bytes, of 32 bytes and `length` more, which need not lie behind them; `out` may be where the 32 are. */
static void pumasi_blake2b_behind(const char *first, const char *data, size_t length, unsigned char *out) {
    uint64_t h[8], m[16];
    char block[128];
    pumasi_blake2b_begin(h, 32);
    memcpy(block, first, 32);
    if (length <= 96) {
        memcpy(block + 32, data, length);
        pumasi_blake2b_rest(h, 0, block, 32 + length, 32, out);
        return;
    }
    memcpy(block + 32, data, 96);
    memcpy(m, block, 128);
    pumasi_mix(h, m, 128, 0);
    pumasi_blake2b_rest(h, 128, data + 96, length - 96, 32, out);
}
