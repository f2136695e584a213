/*
 * What each decoder does to a token. Differs from the Rust library in one case: in a run of byte
 * tokens that is not UTF-8 as a whole we keep the characters that are, and put one U+FFFD for each
 * other byte, as SentencePiece does; so that text already shown is never taken back.
 */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/bytelevel.h"
#include "tokenizer/decoder.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Can these bytes begin a character? The lowest and the highest continuation decide. */
static bool begins_character(const char *bytes, size_t n)
{
    for (int fill = 0x80; fill <= 0xbf; fill += 0x3f) {
        char whole[4];
        uint32_t c;
        memset(whole, fill, sizeof whole);
        memcpy(whole, bytes, n);
        if (gram_utf8_next(whole, sizeof whole, &c) > n)
            return true;
    }
    return false;
}

static void drop_held(struct gram_decoding *state, size_t n, struct gram_buf *out)
{
    for (size_t i = 0; i < (state->list->maximal ? 1 : n); i++)
        gram_buf_str(out, replacement);
}

void gram_decode_held(struct gram_decoding *state, struct gram_buf *out)
{
    if (state->n_held > 0)
        drop_held(state, state->n_held, out);
    state->n_held = 0;
}

static void add_byte(struct gram_decoding *state, char byte, struct gram_buf *out)
{
    uint32_t c;

    state->held[state->n_held++] = byte;
    if (gram_utf8_next(state->held, state->n_held, &c) > 0) {
        gram_buf_add(out, state->held, state->n_held);
        state->n_held = 0;
    } else if (!begins_character(state->held, state->n_held)) {
        const size_t before = state->n_held - 1;
        state->n_held = 0;
        if (before == 0) {
            drop_held(state, 1, out);
        } else { /* what came before is broken; this byte starts afresh */
            drop_held(state, before, out);
            add_byte(state, byte, out);
        }
    }
}

void gram_decode_bytelevel(const struct gram_decoder *step, struct gram_decoding *state,
                           const char *text, size_t len, struct gram_buf *out)
{
    bool all = true;
    uint32_t c;

    (void)step;
    for (size_t i = 0; i < len && all;) {
        i += gram_utf8_next(text + i, len - i, &c);
        all = gram_bytelevel_byte(c) >= 0;
    }
    for (size_t i = 0; i < len;) {
        const size_t n = all ? gram_utf8_next(text + i, len - i, &c) : 1;
        add_byte(state, all ? (char)gram_bytelevel_byte(c) : text[i], out);
        i += n;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* "<0x0A>" */
void gram_decode_byte_fallback(const struct gram_decoder *step, struct gram_decoding *state,
                               const char *text, size_t len, struct gram_buf *out)
{
    (void)step;
    if (len == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>' && hex_digit(text[3]) >= 0 &&
        hex_digit(text[4]) >= 0) {
        add_byte(state, (char)(hex_digit(text[3]) << 4 | hex_digit(text[4])), out);
        return;
    }
    gram_decode_held(state, out);
    gram_buf_add(out, text, len);
}

void gram_decode_replace(const struct gram_decoder *step, struct gram_decoding *state,
                         const char *text, size_t len, struct gram_buf *out)
{
    (void)gram_pattern_replace(&step->pattern, &state->matcher, text, len, step->content,
                               step->content_len, out); /* the matcher keeps the status */
}

static bool starts_with(const char *text, size_t len, const struct gram_decoder *step)
{
    return len >= step->content_len && memcmp(text, step->content, step->content_len) == 0;
}

/* At most `left` characters off the front: of each token, or of the whole text behind a Fuse. */
void gram_decode_strip(const struct gram_decoder *step, struct gram_decoding *state,
                       const char *text, size_t len, struct gram_buf *out)
{
    size_t done = step->is_fused ? state->stripped : 0, begin = 0;

    while (!(step->is_fused && state->strip_over) && done < step->left &&
           starts_with(text + begin, len - begin, step)) {
        begin += step->content_len;
        done++;
    }
    for (size_t i = 0;
         i < step->right && len - begin >= step->content_len &&
         memcmp(text + len - step->content_len, step->content, step->content_len) == 0;
         i++)
        len -= step->content_len;
    if (step->is_fused) {
        state->stripped = done;
        state->strip_over = state->strip_over || begin < len;
    }
    gram_buf_add(out, text + begin, len - begin);
}

/* The marks of the first token vanish, the others are spaces. */
void gram_decode_metaspace(const struct gram_decoder *step, struct gram_decoding *state,
                           const char *text, size_t len, struct gram_buf *out)
{
    const bool drops = !state->any && !step->keeps_prefix;

    for (size_t i = 0; i < len;) {
        if (starts_with(text + i, len - i, step)) {
            gram_buf_add(out, " ", !drops);
            i += step->content_len;
        } else {
            gram_buf_add(out, text + i++, 1);
        }
    }
}

void gram_decode_nothing(const struct gram_decoder *step, struct gram_decoding *state,
                         const char *text, size_t len, struct gram_buf *out)
{
    (void)step;
    (void)state;
    gram_buf_add(out, text, len);
}
