/* Source: bitsandbytes, functional.py (create_dynamic_map), backends/default/ops.py. */
#include "tensor/blockwise.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"

enum { DECADES = 7, VALUES = 256 };

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Number i of n from 0.1 to 1 (torch.linspace: counted from the nearer end, rounded once). */
static float edge(int i, int n)
{
    const float step = (1.0f - 0.1f) / (float)(n - 1);
    return i < n / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(n - 1 - i), 1.0f);
}

void gram_dynamic_map(float map[256], bool is_signed)
{
    static const float decade[DECADES] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
    int n = 0;

    for (int i = 0; i < DECADES; i++) {
        const int edges = (is_signed ? 1 << i : 2 << i) + 1;
        for (int j = 0; j + 1 < edges; j++) {
            const float value = decade[i] * ((edge(j, edges) + edge(j + 1, edges)) / 2);
            map[n++] = value;
            if (is_signed)
                map[n++] = -value;
        }
    }
    map[n++] = 0.0f;
    map[n++] = 1.0f;
    qsort(map, VALUES, sizeof map[0], ascending);
}

/* Midpoints between neighbours of the map. */
struct middles {
    float at[VALUES - 1];
};

/* How many midpoints are below x: one that lies on a midpoint takes the lower value. */
static uint8_t rank_of(const struct middles *middles, float x)
{
    int low = 0;

    for (int step = VALUES / 2; step > 0; step /= 2)
        low += middles->at[low + step - 1] < x ? step : 0;
    return (uint8_t)low;
}

static float clamp(float value)
{
    value = value < -1.0f ? -1.0f : value;
    return value > 1.0f ? 1.0f : value;
}

/* A whole block is multiplied by the reciprocal; a short one, at the end, divided: so it is done there. */
static void encode_block(uint8_t *codes, float *absmax, const float *x, int64_t n, bool is_whole,
                         const struct middles *middles)
{
    const float least = 1e-38f;
    float most = 0.0f;

    for (int64_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    const float divisor = most > least ? most : least;
    const float inverse = 1.0f / divisor;
    for (int64_t i = 0; i < n; i++)
        codes[i] = rank_of(middles, clamp(is_whole ? x[i] * inverse : x[i] / divisor));
    *absmax = is_whole ? most : divisor;
}

void gram_blockwise_encode(uint8_t *codes, float *absmax, const float *x, int64_t n, int64_t block,
                           const float map[256])
{
    struct middles middles;

    for (int j = 0; j < VALUES - 1; j++)
        middles.at[j] = (map[j] + map[j + 1]) / 2;
    for (int64_t i = 0; i < n; i += block) {
        const int64_t count = gram_min_i64(block, n - i);
        encode_block(codes + i, absmax + i / block, x + i, count, count == block, &middles);
    }
}

void gram_blockwise_decode(float *x, const uint8_t *codes, const float *absmax, int64_t n,
                           int64_t block, const float map[256])
{
    for (int64_t i = 0; i < n; i++)
        x[i] = map[codes[i]] * absmax[i / block];
}
