/* Memory that is freed all at once. */
#ifndef GRAM_BASE_ARENA_H
#define GRAM_BASE_ARENA_H

#include <stddef.h>

struct gram_arena_block;
/* Zero bytes are a valid empty arena. One thread at a time. */
struct gram_arena {
    struct gram_arena_block *last;
    struct gram_arena_block *spare; /* of rounds before */
};

/* Zeroed memory, aligned to 64 bytes, that lives until the arena is reset; NULL if memory ran out.
 * count * size is checked. A size of zero gives a valid pointer. */
void *gram_arena_take(struct gram_arena *arena, size_t count, size_t size);
/* A copy of the string (or of its first len bytes, terminated). */
char *gram_arena_str(struct gram_arena *arena, const char *s);
char *gram_arena_strn(struct gram_arena *arena, const char *s, size_t len);
/* Bytes that it holds. */
size_t gram_arena_bytes(const struct gram_arena *arena);
void gram_arena_reset(struct gram_arena *arena);
/* The same, but the system's memory is kept for the next round: for loops whose rounds take much alike. */
void gram_arena_rewind(struct gram_arena *arena);

/* Before they are touched: so many bytes will all be used, and streamed. They come in large pages where the
 * system has such. */
void gram_prefer_large_pages(void *at, size_t bytes);

#endif
