/* Text to ids: cut out added tokens, normalize, cut again, pre-tokenize, merge. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"

/* Everything one call needs; nothing of it outlives the call. */
struct encoding {
    const struct gram_tokenizer *tokenizer;
    struct gram_ids *ids;
    bool plain;
    struct gram_error *err;
    struct gram_matcher matcher;
    struct gram_buf normalized[2];
    struct gram_pieces pieces, spare;
    struct gram_bpe_work bpe;
};

static enum gram_status add_ids(struct encoding *e, const int32_t *ids, size_t n)
{
    void *at = e->ids->at;

    if (!gram_grow(&at, &e->ids->cap, e->ids->len + n, sizeof *e->ids->at))
        return gram_fail_memory(e->err, "token ids");
    e->ids->at = at;
    for (size_t i = 0; i < n; i++)
        e->ids->at[e->ids->len++] = ids[i];
    return GRAM_OK;
}

/* Normalized text without added tokens. */
static enum gram_status encode_text(struct encoding *e, const char *text, size_t len, bool is_first)
{
    const struct gram_tokenizer *t = e->tokenizer;

    if (!gram_pieces_start(&e->pieces, text, len, is_first))
        return gram_fail_memory(e->err, "a text");
    GRAM_TRY(gram_pretokenizers_apply(&t->pretokenizers, &e->matcher, &e->pieces, &e->spare));
    for (size_t i = 0; i < e->pieces.n; i++) {
        const struct gram_piece piece = e->pieces.at[i];
        if (!gram_bpe_encode(&t->bpe, &e->bpe, e->pieces.text.at + piece.begin,
                             piece.end - piece.begin, e->ids))
            return gram_fail_memory(e->err, "a text");
    }
    return GRAM_OK;
}

/* Raw text without the added tokens that are looked for in raw text. */
static enum gram_status encode_segment(struct encoding *e, const char *text, size_t len,
                                       bool is_first)
{
    const struct gram_tokenizer *t = e->tokenizer;
    struct gram_cutter cutter;
    struct gram_cut cut;

    GRAM_TRY(gram_normalizers_apply(&t->normalizers, &e->matcher, text, len, is_first,
                                    e->normalized, &text, &len));
    gram_cutter_start(&cutter, &t->normalized_added, text, len, e->plain);
    while (gram_cutter_next(&cutter, &cut)) {
        const bool first = is_first && cut.begin == 0;
        GRAM_TRY(cut.token ? add_ids(e, &cut.token->id, 1)
                           : encode_text(e, text + cut.begin, cut.end - cut.begin, first));
    }
    return GRAM_OK;
}

static enum gram_status encode_all(struct encoding *e, const char *text, size_t len)
{
    struct gram_cutter cutter;
    struct gram_cut cut;

    gram_cutter_start(&cutter, &e->tokenizer->raw_added, text, len, e->plain);
    while (gram_cutter_next(&cutter, &cut))
        GRAM_TRY(cut.token
                     ? add_ids(e, &cut.token->id, 1)
                     : encode_segment(e, text + cut.begin, cut.end - cut.begin, cut.begin == 0));
    return GRAM_OK;
}

static enum gram_status encode_surrounded(struct encoding *e, const char *text, size_t len,
                                          unsigned flags)
{
    const struct gram_surround *s = &e->tokenizer->surround;
    const bool special = flags & GRAM_ENCODE_SPECIAL;

    GRAM_TRY(add_ids(e, s->before, special ? s->n_before : 0));
    GRAM_TRY(encode_all(e, text, len));
    return add_ids(e, s->behind, special ? s->n_behind : 0);
}

enum gram_status gram_tokenizer_encode(const struct gram_tokenizer *tokenizer, const char *text,
                                       size_t len, unsigned flags, struct gram_ids *ids,
                                       struct gram_error *err)
{
    struct encoding e = {.tokenizer = tokenizer,
                         .ids = ids,
                         .plain = flags & GRAM_ENCODE_PLAIN,
                         .err = err,
                         .matcher = {.err = err}};
    const size_t had = ids->len;
    size_t bad;

    if (!gram_utf8_valid(text, len, &bad))
        return gram_fail(err, GRAM_EFORMAT, "the text is not UTF-8 at byte %zu", bad);
    enum gram_status status = encode_surrounded(&e, text, len, flags);
    if (status != GRAM_OK)
        ids->len = had;
    gram_matcher_reset(&e.matcher);
    gram_buf_reset(&e.normalized[0]);
    gram_buf_reset(&e.normalized[1]);
    gram_pieces_reset(&e.pieces);
    gram_pieces_reset(&e.spare);
    gram_bpe_work_reset(&e.bpe);
    return status;
}

void gram_ids_reset(struct gram_ids *ids)
{
    free(ids->at);
    *ids = (struct gram_ids){0};
}
