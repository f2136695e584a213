/* A chain of blocks; small requests share one, large ones get their own. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum { ALIGN = 64, BLOCK = 64 * 1024 };

struct gram_arena_block {
    struct gram_arena_block *before;
    char *base;        /* aligned */
    size_t used, size; /* of the bytes at base */
};

/* calloc, because the system hands out large zeroed blocks without touching them: a cache for a long context
 * takes memory only as far as it is filled. */
static struct gram_arena_block *new_block(struct gram_arena *arena, size_t size)
{
    size_t total;
    if (!gram_add_size(&total, size, sizeof(struct gram_arena_block) + ALIGN))
        return NULL;
    struct gram_arena_block *block = calloc(1, total);
    if (!block)
        return NULL;
    const uintptr_t after = (uintptr_t)(block + 1);
    block->before = arena->last;
    block->base = (char *)(block + 1) + (ALIGN - after % ALIGN) % ALIGN;
    block->size = size;
    arena->last = block;
    return block;
}

void *gram_arena_take(struct gram_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!gram_mul_size(&bytes, count, size) || bytes > SIZE_MAX / 2)
        return NULL;
    const size_t padded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct gram_arena_block *block = arena->last;

    if (!block || block->size - block->used < padded)
        block = new_block(arena, padded > BLOCK ? padded : BLOCK);
    if (!block)
        return NULL;
    char *at = block->base + block->used;
    block->used += padded;
    return at;
}

char *gram_arena_strn(struct gram_arena *arena, const char *s, size_t len)
{
    char *copy = len < SIZE_MAX ? gram_arena_take(arena, len + 1, 1) : NULL;
    if (copy)
        memcpy(copy, s, len);
    return copy;
}

char *gram_arena_str(struct gram_arena *arena, const char *s)
{
    return gram_arena_strn(arena, s, strlen(s));
}

void gram_arena_reset(struct gram_arena *arena)
{
    while (arena->last) {
        struct gram_arena_block *before = arena->last->before;
        free(arena->last);
        arena->last = before;
    }
}
