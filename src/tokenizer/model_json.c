/*
 * The BPE model of tokenizer.json. The vocabulary is read in two passes: sizes first, then tokens,
 * so that all texts share one block of memory.
 */
#include <string.h>

#include "base/checked.h"
#include "tokenizer/parts.h"

struct reading {
    struct gram_tokenizer *tokenizer;
    const struct gram_source *source;
    json_t *vocab; /* text -> id */
    const struct gram_added_spec *added;
    size_t n_added;
};

/* Sizes: the highest id and the bytes of all texts. */
static enum gram_status measure(const struct reading *reading, int64_t *highest, size_t *bytes)
{
    void *it = json_object_iter(reading->vocab);
    int64_t id;

    *highest = -1;
    *bytes = 0;
    for (; it; it = json_object_iter_next(reading->vocab, it)) {
        GRAM_TRY(gram_token_id(reading->source, json_object_iter_key(it),
                               json_object_iter_value(it), &id));
        *highest = gram_max_i64(*highest, id);
        *bytes += json_object_iter_key_len(it); /* of a text in memory: cannot overflow */
    }
    for (size_t i = 0; i < reading->n_added; i++)
        *highest = gram_max_i64(*highest, reading->added[i].id);
    return GRAM_OK;
}

static enum gram_status fill_vocab(const struct reading *reading, char *texts)
{
    struct gram_vocab *vocab = &reading->tokenizer->vocab;

    for (void *it = json_object_iter(reading->vocab); it;
         it = json_object_iter_next(reading->vocab, it)) {
        const size_t len = json_object_iter_key_len(it);
        const int32_t id = (int32_t)json_integer_value(json_object_iter_value(it));

        memcpy(texts, json_object_iter_key(it), len);
        GRAM_TRY(gram_vocab_put(vocab, reading->source, id, texts, len));
        gram_vocab_list(vocab, id); /* keys are unique */
        texts += len;
    }
    return GRAM_OK;
}

static enum gram_status read_vocab(const struct reading *reading)
{
    const struct gram_source *source = reading->source;
    int64_t highest;
    size_t bytes;

    GRAM_TRY(measure(reading, &highest, &bytes));
    GRAM_TRY(gram_vocab_init(&reading->tokenizer->vocab, source, highest,
                             json_object_size(reading->vocab) + reading->n_added));
    char *texts = gram_arena_take(source->arena, bytes, 1);
    if (!texts)
        return gram_fail_memory(source->err, source->where);
    GRAM_TRY(fill_vocab(reading, texts));
    return gram_added_specs_place(reading->added, reading->n_added, source,
                                  &reading->tokenizer->vocab);
}

/* The two sides of a merge: "a b", or ["a", "b"]. */
static bool merge_sides(const json_t *merge, const char *side[2], size_t len[2])
{
    if (json_is_string(merge)) {
        const char *text = json_string_value(merge);
        const size_t n = json_string_length(merge);
        const char *space = memchr(text, ' ', n);
        if (!space || memchr(space + 1, ' ', n - (size_t)(space - text) - 1))
            return false;
        side[0] = text;
        len[0] = (size_t)(space - text);
        side[1] = space + 1;
        len[1] = n - len[0] - 1;
    } else {
        for (size_t i = 0; i < 2; i++) {
            const json_t *part = json_array_get(merge, i);
            if (!json_is_string(part) || json_array_size(merge) != 2)
                return false;
            side[i] = json_string_value(part);
            len[i] = json_string_length(part);
        }
    }
    return len[0] > 0 && len[1] > 0;
}

static enum gram_status add_merge(struct gram_bpe *bpe, const struct gram_source *source,
                                  const char *side[2], const size_t len[2], size_t rank,
                                  struct gram_buf *joined)
{
    const int32_t left = gram_vocab_find(bpe->vocab, side[0], len[0]);
    const int32_t right = gram_vocab_find(bpe->vocab, side[1], len[1]);

    joined->len = 0;
    gram_buf_add(joined, side[0], len[0]);
    gram_buf_add(joined, side[1], len[1]);
    if (joined->failed)
        return gram_fail_memory(source->err, source->where);
    const int32_t id = gram_vocab_find(bpe->vocab, joined->at, joined->len);
    if (left < 0 || right < 0 || id < 0)
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: merge %zu ('%.*s' '%.*s'): '%.*s' is not in the vocabulary",
                         source->where, rank, (int)len[0], side[0], (int)len[1], side[1],
                         (int)(left < 0    ? len[0]
                               : right < 0 ? len[1]
                                           : joined->len),
                         left < 0    ? side[0]
                         : right < 0 ? side[1]
                                     : joined->at);
    gram_bpe_add(bpe, left, right, (uint32_t)rank, id);
    return GRAM_OK;
}

static enum gram_status read_merges(struct gram_tokenizer *tokenizer,
                                    const struct gram_source *source, const json_t *merges)
{
    struct gram_buf joined = {0};
    enum gram_status status = GRAM_OK;

    if (!json_is_array(merges))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: model: merges must be a list",
                         source->where);
    const size_t n = json_array_size(merges);
    GRAM_TRY(gram_bpe_init(&tokenizer->bpe, source, &tokenizer->vocab, n));
    for (size_t i = 0; i < n && status == GRAM_OK; i++) {
        const char *side[2];
        size_t len[2];
        status =
            merge_sides(json_array_get(merges, i), side, len)
                ? add_merge(&tokenizer->bpe, source, side, len, i, &joined)
                : gram_fail(source->err, GRAM_EFORMAT,
                            "%s: merge %zu must have two parts, neither empty", source->where, i);
    }
    gram_buf_reset(&joined);
    return status;
}

static void find_byte_tokens(struct gram_bpe *bpe)
{
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        const int n = snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        bpe->bytes[byte] = gram_vocab_find(bpe->vocab, name, (size_t)n);
    }
}

static enum gram_status refuse_affix(const struct gram_source *source, const json_t *model,
                                     const char *key)
{
    const char *affix;

    GRAM_TRY(gram_json_str(model, key, "", &affix, source->where, source->err));
    return *affix ? gram_fail(source->err, GRAM_EUNSUPPORTED, "%s: model: %s '%s' is not supported",
                              source->where, key, affix)
                  : GRAM_OK;
}

static enum gram_status read_options(struct gram_tokenizer *tokenizer,
                                     const struct gram_source *source, const json_t *model)
{
    struct gram_bpe *bpe = &tokenizer->bpe;
    const char *unknown;
    bool byte_fallback;
    double dropout;

    GRAM_TRY(refuse_affix(source, model, "continuing_subword_prefix"));
    GRAM_TRY(refuse_affix(source, model, "end_of_word_suffix"));
    GRAM_TRY(gram_json_real(model, "dropout", 0.0, 1.0, 0.0, &dropout, source->where, source->err));
    GRAM_TRY(
        gram_json_bool(model, "fuse_unk", false, &bpe->fuse_unknown, source->where, source->err));
    GRAM_TRY(gram_json_bool(model, "ignore_merges", false, &bpe->whole_first, source->where,
                            source->err));
    GRAM_TRY(
        gram_json_bool(model, "byte_fallback", false, &byte_fallback, source->where, source->err));
    if (byte_fallback)
        find_byte_tokens(bpe);
    GRAM_TRY(gram_json_str(model, "unk_token", NULL, &unknown, source->where, source->err));
    if (!unknown)
        return GRAM_OK;
    bpe->unknown = gram_vocab_find(bpe->vocab, unknown, strlen(unknown));
    return bpe->unknown >= 0 ? GRAM_OK
                             : gram_fail(source->err, GRAM_EFORMAT,
                                         "%s: model: unk_token '%s' is not in the vocabulary",
                                         source->where, unknown);
}

enum gram_status gram_tokenizer_read_model(struct gram_tokenizer *tokenizer,
                                           const struct gram_source *source, const json_t *model,
                                           const struct gram_added_spec *added, size_t n_added)
{
    struct reading reading = {tokenizer, source, json_object_get(model, "vocab"), added, n_added};
    const char *type;

    if (!json_is_object(model))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: the model is missing", source->where);
    /* files from before the model had a type are BPE when they have merges */
    GRAM_TRY(gram_json_str(model, "type", gram_json_has(model, "merges") ? "BPE" : "missing", &type,
                           source->where, source->err));
    if (strcmp(type, "BPE") != 0)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: a tokenizer model of type '%s' is not supported (known: BPE)",
                         source->where, type);
    if (!json_is_object(reading.vocab))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: model: the vocab is missing",
                         source->where);
    GRAM_TRY(read_vocab(&reading));
    GRAM_TRY(read_merges(tokenizer, source, json_object_get(model, "merges")));
    return read_options(tokenizer, source, model);
}
