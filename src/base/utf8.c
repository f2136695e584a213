/* UTF-8 one character at a time. */
#include "base/utf8.h"

/* First byte, by its high bits: length, payload mask, lowest character that needs this length. */
static const struct {
    uint8_t mask, tag, payload;
    uint32_t lowest;
} forms[] = {
    {0x80, 0x00, 0x7f, 0x0},
    {0xe0, 0xc0, 0x1f, 0x80},
    {0xf0, 0xe0, 0x0f, 0x800},
    {0xf8, 0xf0, 0x07, 0x10000},
};

size_t gram_utf8_next(const char *s, size_t len, uint32_t *c)
{
    if (len == 0)
        return 0;
    const uint8_t first = (uint8_t)s[0];

    for (size_t form = 0; form < 4; form++) {
        if ((first & forms[form].mask) != forms[form].tag)
            continue;
        if (len < form + 1)
            return 0;
        uint32_t value = first & forms[form].payload;
        for (size_t i = 1; i <= form; i++) {
            const uint8_t byte = (uint8_t)s[i];
            if ((byte & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (byte & 0x3f);
        }
        if (value < forms[form].lowest || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return 0;
        *c = value;
        return form + 1;
    }
    return 0;
}

size_t gram_utf8_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    for (size_t i = tail; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(forms[tail].tag | c);
    return tail + 1;
}

bool gram_utf8_valid(const char *s, size_t len, size_t *at)
{
    for (size_t i = 0; i < len;) {
        uint32_t c;
        const size_t n = gram_utf8_next(s + i, len - i, &c);
        if (n == 0) {
            if (at)
                *at = i;
            return false;
        }
        i += n;
    }
    return true;
}
