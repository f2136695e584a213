/*
 * bytes_to_unicode() of GPT-2's encoder.py: the printable bytes of Latin-1 stand for themselves,
 * the 68 others, in order, for U+0100 and up.
 */
#include "tokenizer/bytelevel.h"

#include <stdbool.h>

#include "base/buf.h"

static bool is_printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* How many bytes below `byte` are not printable: 0..0x20, 0x7f..0xa0, 0xad. */
static unsigned rank_of(unsigned byte)
{
    return byte <= 0x20 ? byte : byte <= 0xa0 ? 33 + (byte - 0x7f) : 67;
}

int gram_bytelevel_byte(uint32_t c)
{
    if (c < 0x100)
        return is_printable(c) ? (int)c : -1;
    const uint32_t rank = c - 0x100;
    return rank < 33 ? (int)rank : rank < 67 ? (int)(rank - 33 + 0x7f) : rank == 67 ? 0xad : -1;
}

void gram_bytelevel_encode(struct gram_buf *out, const char *text, size_t len)
{
    char *to = len <= SIZE_MAX / 2 ? gram_buf_room(out, len * 2) : NULL;
    size_t n = 0;

    if (!to) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < len; i++) {
        const unsigned byte = (unsigned char)text[i];
        const unsigned c = is_printable(byte) ? byte : 0x100 + rank_of(byte);
        if (c < 0x80) {
            to[n++] = (char)c;
        } else {
            to[n++] = (char)(0xc0 | c >> 6);
            to[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    out->len += n;
    out->at[out->len] = '\0';
}
