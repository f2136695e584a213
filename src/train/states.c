/*
 * A block in codes is decoded, stepped as f32 by the optimizer's own rule, and encoded again. What is
 * not zero does not become zero, and so keeps its sign: a mean square that vanished beside a mean that
 * did not would make a step without bounds. (bitsandbytes has this rule for negative means.)
 */
#include "train/states.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/blockwise.h"

enum { BLOCK = GRAM_STATES_BLOCK, KEY_SHIFT = 17 };

static uint32_t key_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> KEY_SHIFT;
}

/* The least number whose upper bits are these: the one farthest from zero if it is negative. */
static float least_of(uint32_t key)
{
    const bool is_negative = key >> (31 - KEY_SHIFT);
    const uint32_t bits = key << KEY_SHIFT | (is_negative ? (1u << KEY_SHIFT) - 1 : 0);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void init_map(struct gram_state_map *map, bool is_signed)
{
    gram_dynamic_map(map->values, is_signed);
    for (int i = 0; i < 255; i++) {
        map->middles[i] = (map->values[i] + map->values[i + 1]) / 2;
        if (map->values[i] == 0.0f)
            map->zero = (uint8_t)i;
    }
    map->middles[255] = INFINITY;
    for (uint32_t key = 0; key < sizeof map->first; key++) {
        const float least = least_of(key);
        int code = 0;
        while (map->middles[code] < least)
            code++;
        map->first[key] = (uint8_t)code;
    }
}

void gram_state_maps_init(struct gram_state_maps *maps)
{
    init_map(&maps->any, true);
    init_map(&maps->positive, false);
}

/* ---- layout ---- */

static bool is_coded(const struct gram_optimizer *optimizer, int64_t n)
{
    return optimizer->is_coded && n >= GRAM_STATES_LEAST;
}

/* Of one state: codes, padded to whole blocks, then scales. */
static size_t state_bytes(const struct gram_optimizer *optimizer, int64_t n)
{
    const size_t blocks = (size_t)gram_ceil_div(n, BLOCK);
    return is_coded(optimizer, n) ? blocks * (BLOCK + sizeof(float)) : (size_t)n * sizeof(float);
}

size_t gram_states_bytes(const struct gram_optimizer *optimizer, int64_t n)
{
    return (size_t)optimizer->n_states * state_bytes(optimizer, n);
}

static char *state_at(const struct gram_states *s, int i)
{
    return s->at + (size_t)i * state_bytes(s->optimizer, s->n);
}

/* ---- a block ---- */

struct coded {
    uint8_t *codes;
    float *scale;
    const struct gram_state_map *map;
};

static struct coded coded_at(const struct gram_states *s, const struct gram_state_maps *maps, int i,
                             int64_t block)
{
    char *at = state_at(s, i);
    float *scales = (float *)(void *)(at + gram_ceil_div(s->n, BLOCK) * BLOCK);
    return (struct coded){(uint8_t *)at + block * BLOCK, scales + block,
                          s->optimizer->is_signed[i] ? &maps->any : &maps->positive};
}

/* A block that was never written has the scale 0. */
static void decode(float *x, const struct coded *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = c->map->values[c->codes[i]] * *c->scale;
}

static uint8_t code_of(const struct gram_state_map *map, float share, float x)
{
    uint8_t code = map->first[key_of(share)];

    while (map->middles[code] < share)
        code++;
    if (code == map->zero && x != 0.0f)
        code = x > 0.0f ? code + 1 : code - 1;
    return code;
}

static void encode(const struct coded *c, const float *x, int64_t n)
{
    const float least = 1e-38f; /* as in gram_blockwise_encode() */
    float most = 0.0f;

    for (int64_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    const float inverse = 1.0f / (most > least ? most : least);
    for (int64_t i = 0; i < n; i++)
        c->codes[i] = code_of(c->map, fmaxf(-1.0f, fminf(1.0f, x[i] * inverse)), x[i]);
    *c->scale = most;
}

static void step_block(const struct gram_states *s, const struct gram_state_maps *maps,
                       const struct gram_update *all, int64_t first, int64_t at)
{
    float state[GRAM_MAX_STATES][BLOCK];
    struct coded coded[GRAM_MAX_STATES];
    struct gram_update u = *all;

    u.w += at;
    u.g += at;
    u.n = gram_min_i64(BLOCK, all->n - at);
    for (int i = 0; i < s->optimizer->n_states; i++) {
        coded[i] = coded_at(s, maps, i, (first + at) / BLOCK);
        u.state[i] = state[i];
        decode(state[i], &coded[i], u.n);
    }
    s->optimizer->update(&u);
    for (int i = 0; i < s->optimizer->n_states; i++)
        encode(&coded[i], state[i], u.n);
}

void gram_states_step(const struct gram_states *s, const struct gram_state_maps *maps,
                      struct gram_update *u, int64_t first)
{
    if (is_coded(s->optimizer, s->n)) {
        for (int64_t at = 0; at < u->n; at += BLOCK)
            step_block(s, maps, u, first, at);
        return;
    }
    for (int i = 0; i < s->optimizer->n_states; i++)
        u->state[i] = (float *)(void *)state_at(s, i) + first;
    s->optimizer->update(u);
}
