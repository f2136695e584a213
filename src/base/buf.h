/* A growable run of bytes, always NUL-terminated once something was added. */
#ifndef GRAM_BASE_BUF_H
#define GRAM_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <gram/api.h>

/* Zero bytes are a valid empty one. After an allocation failed, `failed` is set, further additions do
 * nothing: check it once at the end. */
struct gram_buf {
    char *at;
    size_t len, cap;
    bool failed;
};

void gram_buf_add(struct gram_buf *buf, const void *bytes, size_t n);
void gram_buf_str(struct gram_buf *buf, const char *s);
void gram_buf_printf(struct gram_buf *buf, const char *format, ...) GRAM_PRINTF(2, 3);
/* Room for n more bytes at the returned place (then add to len yourself); NULL if memory ran out. */
char *gram_buf_room(struct gram_buf *buf, size_t n);
void gram_buf_reset(struct gram_buf *buf);

/*
 * Make *at hold at least `need` elements of `size` bytes, growing by doubling; the same bookkeeping for
 * every typed list. False, and nothing changed, when memory ran out.
 */
bool gram_grow(void **at, size_t *cap, size_t need, size_t size);

#endif
