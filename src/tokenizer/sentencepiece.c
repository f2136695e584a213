/*
 * tokenizer.model: a SentencePiece model of type BPE (sentencepiece_model.proto; Kudo and
 * Richardson 2018). Any two neighbours whose text together is a piece can merge, the piece of the
 * highest score first. That is BPE with one merge for every way to cut a piece in two, ranked by
 * the piece's score, equal scores sharing a rank.
 *
 * Control pieces and the unknown piece are found in the text, as transformers does and
 * SentencePiece itself does not: GRAM_ENCODE_PLAIN gives the latter. A space is put before the
 * text, not before the text behind a control piece, unless tokenizer_config.json says "legacy":
 * true.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"
#include "tokenizer/sentencepiece_model.h"

enum { LONGEST_PIECE = 256 }; /* bytes, to be merged; SentencePiece trains at most 16 characters */

struct build {
    struct gram_tokenizer *tokenizer;
    const struct gram_source *source;
    struct gram_sp_model model;
};

static bool can_merge(const struct gram_sp_piece *piece)
{
    return piece->type == GRAM_PIECE_NORMAL || piece->type == GRAM_PIECE_USER_DEFINED;
}

static enum gram_status fill_vocab(const struct build *m, const struct gram_added_spec *added,
                                   size_t n_added)
{
    struct gram_vocab *vocab = &m->tokenizer->vocab;
    int64_t highest = (int64_t)m->model.n - 1;
    size_t bytes = 0;

    for (size_t i = 0; i < m->model.n; i++)
        bytes += m->model.pieces[i].len; /* of a file in memory: cannot overflow */
    for (size_t i = 0; i < n_added; i++)
        highest = gram_max_i64(highest, added[i].id);
    GRAM_TRY(gram_vocab_init(vocab, m->source, highest, m->model.n + n_added));
    char *text = gram_arena_take(m->source->arena, bytes, 1);
    if (!text)
        return gram_fail_memory(m->source->err, m->source->where);
    for (size_t i = 0; i < m->model.n; text += m->model.pieces[i++].len) {
        const struct gram_sp_piece *piece = &m->model.pieces[i];
        memcpy(text, piece->text, piece->len);
        GRAM_TRY(gram_vocab_put(vocab, m->source, (int32_t)i, text, piece->len));
        vocab->at[i].is_special =
            piece->type == GRAM_PIECE_CONTROL || piece->type == GRAM_PIECE_UNKNOWN;
        if (can_merge(piece) && !gram_vocab_list(vocab, (int32_t)i))
            return gram_fail(m->source->err, GRAM_EFORMAT, "%s: piece %zu is there twice",
                             m->source->where, i);
    }
    return GRAM_OK;
}

static int descending(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a < b) - (a > b);
}

/* Ranks by descending score; equal scores share one. */
static enum gram_status rank_pieces(const struct build *m, uint32_t *ranks)
{
    float *scores = malloc(m->model.n * sizeof *scores);
    size_t distinct = 0;

    if (!scores)
        return gram_fail_memory(m->source->err, m->source->where);
    for (size_t i = 0; i < m->model.n; i++)
        scores[i] = m->model.pieces[i].score + 0.0f; /* -0 is 0 */
    qsort(scores, m->model.n, sizeof *scores, descending);
    for (size_t i = 0; i < m->model.n; i++)
        if (distinct == 0 || scores[i] < scores[distinct - 1])
            scores[distinct++] = scores[i];
    for (size_t i = 0; i < m->model.n; i++) {
        const float score = m->model.pieces[i].score + 0.0f;
        const float *found = bsearch(&score, scores, distinct, sizeof *scores, descending);
        ranks[i] = (uint32_t)(found - scores);
    }
    free(scores);
    return GRAM_OK;
}

/* The symbol of a part of a piece: a piece or a single character; -1 if it is neither. */
static int32_t symbol_of(const struct gram_bpe *bpe, const char *text, size_t len)
{
    uint32_t c;
    const int32_t id = gram_vocab_find(bpe->vocab, text, len);

    if (id >= 0)
        return id;
    return gram_utf8_next(text, len, &c) == len ? (int32_t)(GRAM_SYMBOL_CHAR + c) : -1;
}

/* Every way to cut a piece in two is a merge; returns how many, and adds them if `bpe` is to be
 * filled. */
static size_t cut_piece(struct gram_bpe *bpe, const struct gram_sp_piece *piece, int32_t id,
                        uint32_t rank, bool fill)
{
    size_t count = 0;
    uint32_t c;

    if (!can_merge(piece) || piece->len > LONGEST_PIECE)
        return 0;
    for (size_t i = gram_utf8_next(piece->text, piece->len, &c); i < piece->len;
         i += gram_utf8_next(piece->text + i, piece->len - i, &c)) {
        const int32_t left = symbol_of(bpe, piece->text, i);
        const int32_t right = left < 0 ? -1 : symbol_of(bpe, piece->text + i, piece->len - i);
        if (right < 0)
            continue;
        count++;
        if (fill)
            gram_bpe_add(bpe, left, right, rank, id);
    }
    return count;
}

static enum gram_status build_merges(const struct build *m)
{
    struct gram_bpe *bpe = &m->tokenizer->bpe;
    uint32_t *ranks = gram_arena_take(m->source->arena, m->model.n, sizeof *ranks);
    size_t count = 0;

    if (!ranks)
        return gram_fail_memory(m->source->err, m->source->where);
    GRAM_TRY(rank_pieces(m, ranks));
    bpe->vocab = &m->tokenizer->vocab;
    for (size_t i = 0; i < m->model.n; i++)
        count += cut_piece(bpe, &m->model.pieces[i], (int32_t)i, ranks[i], false);
    GRAM_TRY(gram_bpe_init(bpe, m->source, bpe->vocab, count));
    for (size_t i = 0; i < m->model.n; i++)
        cut_piece(bpe, &m->model.pieces[i], (int32_t)i, ranks[i], true);
    return GRAM_OK;
}

static enum gram_status set_unknown(const struct build *m)
{
    struct gram_bpe *bpe = &m->tokenizer->bpe;
    size_t bytes = 0;

    bpe->fuse_unknown = true;
    for (size_t i = 0; i < m->model.n; i++) {
        if (m->model.pieces[i].type == GRAM_PIECE_UNKNOWN)
            bpe->unknown = (int32_t)i;
        if (m->model.pieces[i].type != GRAM_PIECE_BYTE)
            continue;
        bpe->bytes[gram_sp_piece_byte(&m->model.pieces[i])] = (int32_t)i;
        bytes++;
    }
    if (bytes != (m->model.byte_fallback ? 256 : 0))
        return gram_fail(m->source->err, GRAM_EFORMAT,
                         "%s: %zu byte pieces, but byte_fallback is %s", m->source->where, bytes,
                         m->model.byte_fallback ? "true" : "false");
    return GRAM_OK;
}

/* normalizer.cc: extra spaces go, a space comes in front, spaces are written as U+2581. */
void gram_normalize_sentencepiece(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    static const char mark[] = "\xe2\x96\x81";
    const char *space = n->escape ? mark : " ";
    const char *text = job->text;
    size_t len = job->len;
    bool after_space = job->is_first;

    if (n->squeeze) {
        while (len > 0 && text[len - 1] == ' ')
            len--;
        for (; after_space && len > 0 && *text == ' '; text++)
            len--;
    }
    if (len > 0 && n->prefix && (n->prefix_every || job->is_first))
        gram_buf_str(job->out, space);
    for (size_t i = 0; i < len; i++) {
        const bool is_space = text[i] == ' ';
        if (!is_space)
            gram_buf_add(job->out, text + i, 1);
        else if (!n->squeeze || !after_space)
            gram_buf_str(job->out, space);
        after_space = is_space;
    }
}

static const char stages[] =
    "{\"decoder\": {\"type\": \"Sequence\", \"decoders\": ["
    "{\"type\": \"Replace\", \"pattern\": {\"String\": \"\xe2\x96\x81\"}, \"content\": \" \"},"
    "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"},"
    "{\"type\": \"Strip\", \"content\": \" \", \"start\": %d, \"stop\": 0}]}}";

static enum gram_status build_stages(const struct build *m, const json_t *config)
{
    const struct gram_source *source = m->source;
    struct gram_normalizer normalizer = {.apply = gram_normalize_sentencepiece,
                                         .squeeze = m->model.squeeze,
                                         .prefix = m->model.dummy_prefix,
                                         .escape = m->model.escape};
    char text[sizeof stages];
    json_t *root;

    GRAM_TRY(gram_json_bool(config, "legacy", false, &normalizer.prefix_every, source->where,
                            source->err));
    GRAM_TRY(gram_normalizers_add(&m->tokenizer->normalizers, source, &normalizer));
    const int n = snprintf(text, sizeof text, stages, m->model.dummy_prefix != 0);
    GRAM_TRY(gram_json_parse(&root, text, (size_t)n, source->where, source->err));
    enum gram_status status = gram_tokenizer_read_stages(m->tokenizer, source, root);
    json_decref(root);
    return status;
}

/* Control and unknown pieces, user-defined ones, and what tokenizer_config.json adds. */
static enum gram_status build_added(const struct build *m, const struct gram_added_spec *added,
                                    size_t n_added)
{
    const struct gram_vocab *vocab = &m->tokenizer->vocab;
    struct gram_added_spec *all =
        gram_arena_take(m->source->arena, m->model.n + n_added, sizeof *all);
    size_t n = 0;

    if (!all)
        return gram_fail_memory(m->source->err, m->source->where);
    for (size_t i = 0; i < n_added; i++)
        all[n++] = added[i];
    for (size_t i = 0; i < m->model.n; i++) {
        const enum gram_piece_type type = m->model.pieces[i].type;
        const bool user = type == GRAM_PIECE_USER_DEFINED;
        if (!user && type != GRAM_PIECE_CONTROL && type != GRAM_PIECE_UNKNOWN)
            continue;
        all[n++] = (struct gram_added_spec){.content = vocab->at[i].text,
                                            .len = vocab->at[i].len,
                                            .id = (int32_t)i,
                                            .is_special = !user,
                                            .is_normalized = user,
                                            .is_as_is = user};
    }
    return gram_tokenizer_build_added(m->tokenizer, m->source, all, n);
}

/* BOS in front, EOS behind, as transformers' LlamaTokenizer does unless told otherwise. */
static enum gram_status build_surround(const struct build *m, const json_t *config)
{
    struct gram_tokenizer *t = m->tokenizer;
    const struct gram_source *source = m->source;
    bool add_bos, add_eos;

    GRAM_TRY(gram_json_bool(config, "add_bos_token", true, &add_bos, source->where, source->err));
    GRAM_TRY(gram_json_bool(config, "add_eos_token", false, &add_eos, source->where, source->err));
    t->bos = m->model.bos >= 0 && m->model.bos < (int64_t)m->model.n ? (int32_t)m->model.bos : -1;
    t->eos = gram_arena_take(source->arena, 1, sizeof *t->eos);
    if (!t->eos)
        return gram_fail_memory(source->err, source->where);
    t->n_eos = m->model.eos >= 0 && m->model.eos < (int64_t)m->model.n;
    t->eos[0] = (int32_t)(t->n_eos ? m->model.eos : -1);
    if (add_bos && t->bos >= 0)
        GRAM_TRY(gram_surround_add(&t->surround, source, t->bos, false));
    return add_eos && t->n_eos ? gram_surround_add(&t->surround, source, t->eos[0], true) : GRAM_OK;
}

static enum gram_status build(const struct build *m, const json_t *config)
{
    struct gram_added_spec *added;
    size_t n_added;
    json_t *list;

    GRAM_TRY(gram_companions_added(&list, m->source, config));
    enum gram_status status = gram_added_specs_read(&added, &n_added, m->source, list);
    json_decref(list);
    if (status != GRAM_OK)
        return status;
    GRAM_TRY(fill_vocab(m, added, n_added));
    GRAM_TRY(gram_added_specs_place(added, n_added, m->source, &m->tokenizer->vocab));
    GRAM_TRY(build_merges(m));
    GRAM_TRY(set_unknown(m));
    GRAM_TRY(build_stages(m, config));
    GRAM_TRY(build_added(m, added, n_added));
    return build_surround(m, config);
}

enum gram_status gram_tokenizer_read_sentencepiece(struct gram_tokenizer *tokenizer,
                                                   const struct gram_source *source,
                                                   const void *bytes, size_t len,
                                                   const json_t *config)
{
    struct build m = {.tokenizer = tokenizer, .source = source};

    enum gram_status status = gram_sp_model_read(&m.model, source, bytes, len);
    if (status == GRAM_OK)
        status = build(&m, config);
    gram_sp_model_reset(&m.model);
    return status;
}
