/*
 * Unicode properties and normal forms (UAX #15) on top of utf8proc. The reordering of marks is
 * ours: utf8proc's is quadratic in the length of a run of marks, and texts come from strangers.
 */
#include "tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/buf.h"
#include "base/utf8.h"

bool gram_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool category_in(uint32_t c, unsigned first, unsigned last)
{
    const unsigned category = (unsigned)utf8proc_category((utf8proc_int32_t)c);
    return category >= first && category <= last;
}

bool gram_is_numeric(uint32_t c)
{
    return category_in(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool gram_is_punctuation(uint32_t c)
{
    const bool ascii_symbol = c == '$' || c == '+' || c == '<' || c == '=' || c == '>' ||
                              c == '^' || c == '`' || c == '|' || c == '~';
    return ascii_symbol || category_in(c, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

bool gram_is_mark(uint32_t c)
{
    return category_in(c, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

bool gram_is_word(uint32_t c)
{
    const bool joins = c == 0x200c || c == 0x200d;
    const bool circled = (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
                         (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
    return joins || circled || category_in(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) ||
           category_in(c, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PC);
}

size_t gram_to_lower(uint32_t out[2], uint32_t c)
{
    if (c == 0x130) { /* the one character whose lower case is two */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

struct chars {
    utf8proc_int32_t *at;
    size_t len, cap;
};

static bool decompose(struct chars *chars, const char *text, size_t len, utf8proc_option_t options)
{
    enum { LONGEST = 32 }; /* the longest compatibility decomposition has 18 */

    for (size_t i = 0; i < len;) {
        uint32_t c;
        int boundary = 0;
        void *at = chars->at;

        i += gram_utf8_next(text + i, len - i, &c);
        if (!gram_grow(&at, &chars->cap, chars->len + LONGEST, sizeof *chars->at))
            return false;
        chars->at = at;
        chars->len += (size_t)utf8proc_decompose_char((utf8proc_int32_t)c, chars->at + chars->len,
                                                      LONGEST, options, &boundary);
    }
    return true;
}

static int combining_class(utf8proc_int32_t c)
{
    return c < 0x300 ? 0 : utf8proc_get_property(c)->combining_class;
}

/* Stable counting sort of a run of marks by combining class. */
static void order_run(utf8proc_int32_t *run, size_t n, utf8proc_int32_t *scratch)
{
    size_t place[257] = {0};

    for (size_t i = 0; i < n; i++)
        place[combining_class(run[i]) + 1]++;
    for (size_t class = 1; class < 257; class ++)
        place[class] += place[class - 1];
    for (size_t i = 0; i < n; i++)
        scratch[place[combining_class(run[i])]++] = run[i];
    memcpy(run, scratch, n * sizeof *run);
}

/* Canonical ordering: every run of characters of non-zero class, sorted. */
static bool order_marks(struct chars *chars)
{
    utf8proc_int32_t *scratch = NULL;

    for (size_t i = 0; i < chars->len;) {
        size_t end = i;
        while (end < chars->len && combining_class(chars->at[end]) != 0)
            end++;
        if (end - i > 1) {
            if (!scratch && !(scratch = malloc(chars->len * sizeof *scratch)))
                return false;
            order_run(chars->at + i, end - i, scratch);
        }
        i = end + 1;
    }
    free(scratch);
    return true;
}

static void add_chars(struct gram_buf *out, const struct chars *chars, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char bytes[4];
        gram_buf_add(out, bytes, gram_utf8_put(bytes, (uint32_t)chars->at[i]));
    }
}

static bool is_ascii(const char *text, size_t len)
{
    unsigned char seen = 0;
    for (size_t i = 0; i < len; i++)
        seen |= (unsigned char)text[i];
    return seen < 0x80;
}

bool gram_normal_form(struct gram_buf *out, const char *text, size_t len,
                      enum gram_normal_form form)
{
    const utf8proc_option_t compat = form & GRAM_NFKC ? UTF8PROC_COMPAT : 0;
    struct chars chars = {0};

    if (is_ascii(text, len)) {
        gram_buf_add(out, text, len);
        return !out->failed;
    }
    bool ok = decompose(&chars, text, len, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | compat) &&
              order_marks(&chars);
    if (ok) {
        size_t n = chars.len;
        if (!(form & GRAM_NFD)) /* composes in place; the input is already decomposed and ordered */
            n = (size_t)utf8proc_normalize_utf32(chars.at, (utf8proc_ssize_t)n,
                                                 UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        add_chars(out, &chars, n);
    }
    free(chars.at);
    return ok && !out->failed;
}
