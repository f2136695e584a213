/* A chain of blocks; small requests share one, large ones get their own. */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"

enum { ALIGN = 64, BLOCK = 64 * 1024 };

struct gram_arena_block {
    struct gram_arena_block *before;
    char *base;        /* aligned */
    size_t used, size; /* of the bytes at base */
    bool is_dirty;     /* from a round before */
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

/* The smallest that holds so much, none that is far larger than a shared block has to be. */
static struct gram_arena_block *take_spare(struct gram_arena *arena, size_t size)
{
    const size_t most = size > BLOCK ? SIZE_MAX : 16 * BLOCK;
    struct gram_arena_block **best = NULL;

    for (struct gram_arena_block **at = &arena->spare; *at; at = &(*at)->before) {
        if ((*at)->size >= size && (*at)->size <= most && (!best || (*at)->size < (*best)->size))
            best = at;
    }
    if (!best)
        return NULL;
    struct gram_arena_block *block = *best;
    *best = block->before;
    block->before = arena->last;
    block->used = 0;
    block->is_dirty = true;
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

    if (!block || block->size - block->used < padded) {
        const size_t least = padded > BLOCK ? padded : BLOCK;
        block = take_spare(arena, least);
        block = block ? block : new_block(arena, least);
    }
    if (!block)
        return NULL;
    char *at = block->base + block->used;
    if (block->is_dirty)
        memset(at, 0, padded);
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

size_t gram_arena_bytes(const struct gram_arena *arena)
{
    size_t bytes = 0;

    for (const struct gram_arena_block *block = arena->last; block; block = block->before)
        bytes += block->size;
    return bytes;
}

static void free_blocks(struct gram_arena_block **blocks)
{
    while (*blocks) {
        struct gram_arena_block *before = (*blocks)->before;
        free(*blocks);
        *blocks = before;
    }
}

void gram_arena_reset(struct gram_arena *arena)
{
    free_blocks(&arena->last);
    free_blocks(&arena->spare);
}

void gram_arena_rewind(struct gram_arena *arena)
{
    while (arena->last) {
        struct gram_arena_block *block = arena->last;
        arena->last = block->before;
        block->before = arena->spare;
        arena->spare = block;
    }
}

/* An advice: what becomes of it changes no result. */
void gram_prefer_large_pages(void *at, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)at + bytes;
    const uintptr_t begin = ((uintptr_t)at + page - 1) / page * page;

    if (begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}
