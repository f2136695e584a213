/* Growable bytes. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

bool gram_grow(void **at, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t wanted, bytes;
    if (!gram_mul_size(&wanted, *cap, 2))
        return false;
    wanted = wanted < need ? need : wanted;
    wanted = wanted < 16 ? 16 : wanted;
    if (!gram_mul_size(&bytes, wanted, size))
        return false;
    void *grown = realloc(*at, bytes);
    if (!grown)
        return false;
    *at = grown;
    *cap = wanted;
    return true;
}

char *gram_buf_room(struct gram_buf *buf, size_t n)
{
    size_t need;
    void *at = buf->at;
    if (buf->failed || !gram_add_size(&need, buf->len, n) || !gram_add_size(&need, need, 1) ||
        !gram_grow(&at, &buf->cap, need, 1)) {
        buf->failed = true;
        return NULL;
    }
    buf->at = at;
    return buf->at + buf->len;
}

void gram_buf_add(struct gram_buf *buf, const void *bytes, size_t n)
{
    char *room = gram_buf_room(buf, n);
    if (!room)
        return;
    if (n > 0)
        memcpy(room, bytes, n);
    buf->len += n;
    buf->at[buf->len] = '\0';
}

void gram_buf_str(struct gram_buf *buf, const char *s)
{
    gram_buf_add(buf, s, strlen(s));
}

void gram_buf_printf(struct gram_buf *buf, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    char *room = n < 0 ? NULL : gram_buf_room(buf, (size_t)n);
    if (room) {
        vsnprintf(room, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void gram_buf_reset(struct gram_buf *buf)
{
    free(buf->at);
    *buf = (struct gram_buf){0};
}
