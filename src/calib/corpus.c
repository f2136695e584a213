#include "calib/corpus.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/rng.h"
#include "calib/record_file.h"

struct reader {
    struct gram_corpus *corpus;
    const struct gram_tokenizer *tokenizer;
    const struct gram_corpus_options *options;
    struct gram_ids ids; /* of all texts so far */
};

void gram_corpus_reset(struct gram_corpus *corpus)
{
    gram_arena_reset(&corpus->arena);
    *corpus = (struct gram_corpus){0};
}

static enum gram_status add_text(struct reader *r, const char *text, size_t n, const char *where,
                                 struct gram_error *err)
{
    struct gram_error inner = {0};

    if (n == 0)
        return GRAM_OK;
    const enum gram_status status = gram_tokenizer_encode(
        r->tokenizer, text, n, GRAM_ENCODE_SPECIAL, &r->ids, &inner);
    return status == GRAM_OK ? GRAM_OK : gram_fail(err, status, "%s: %s", where, inner.message);
}

static enum gram_status add_plain(void *reader, const char *text, size_t n, const char *where,
                                  struct gram_error *err)
{
    return add_text(reader, text, n, where, err);
}

static enum gram_status add_record(void *reader, const struct gram_record *record, const char *where,
                                   struct gram_error *err)
{
    struct reader *r = reader;

    r->corpus->records++;
    return add_text(r, record->text.at, record->text.len, where, err);
}

/* Fisher and Yates, from the end. */
static void shuffle(int64_t *order, int64_t n, uint64_t seed)
{
    struct gram_rng rng = {seed};

    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t k = (int64_t)(gram_rng_unit(&rng) * (double)(i + 1));
        const int64_t other = order[k];
        order[k] = order[i];
        order[i] = other;
    }
}

static enum gram_status take_window(struct gram_corpus *corpus, const int32_t *ids, int64_t n,
                                    struct gram_error *err)
{
    int32_t *tokens = gram_arena_take(&corpus->arena, (size_t)n, sizeof *tokens);
    if (!tokens)
        return gram_fail_memory(err, "calibration windows");
    memcpy(tokens, ids, (size_t)n * sizeof *tokens);
    corpus->windows[corpus->n_windows++] = (struct gram_window){tokens, n};
    corpus->tokens += n;
    return GRAM_OK;
}

/* Cut what was read every `context` tokens, and take pieces in the order of the seed. */
static enum gram_status take_windows(struct reader *r, struct gram_error *err)
{
    struct gram_corpus *corpus = r->corpus;
    const int64_t total = (int64_t)r->ids.len, context = r->options->context;
    const int64_t most = r->options->max_tokens > 0 ? r->options->max_tokens : total;
    const int64_t pieces = gram_ceil_div(total, context);

    if (total < 2)
        return gram_fail(err, GRAM_EINVAL, "%s: %" PRId64 " tokens are too few to calibrate on",
                         r->options->path, total);
    int64_t *order = gram_arena_take(&corpus->arena, (size_t)pieces, sizeof *order);
    corpus->windows = gram_arena_take(&corpus->arena, (size_t)pieces, sizeof *corpus->windows);
    if (!order || !corpus->windows)
        return gram_fail_memory(err, "calibration windows");
    for (int64_t i = 0; i < pieces; i++)
        order[i] = i;
    shuffle(order, pieces, r->options->seed);
    for (int64_t i = 0; i < pieces && corpus->tokens < most; i++) {
        const int64_t at = order[i] * context;
        const int64_t n = gram_min_i64(gram_min_i64(context, total - at), most - corpus->tokens);
        if (n >= 2) /* one token predicts nothing */
            GRAM_TRY(take_window(corpus, r->ids.at + at, n, err));
    }
    return GRAM_OK;
}

static void hash_number(struct gram_sha256 *hash, uint64_t value, int bytes)
{
    uint8_t le[8];
    for (int i = 0; i < bytes; i++)
        le[i] = (uint8_t)(value >> 8 * i);
    gram_sha256_add(hash, le, (size_t)bytes);
}

void gram_corpus_hash(struct gram_corpus *corpus)
{
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (size_t i = 0; i < corpus->n_windows; i++) {
        hash_number(&hash, (uint64_t)corpus->windows[i].n, 8);
        for (int64_t t = 0; t < corpus->windows[i].n; t++)
            hash_number(&hash, (uint32_t)corpus->windows[i].tokens[t], 4);
    }
    gram_sha256_hex(&hash, corpus->hash);
}

enum gram_status gram_corpus_read(struct gram_corpus *corpus, const struct gram_tokenizer *tokenizer,
                                  const struct gram_corpus_options *options, struct gram_error *err)
{
    struct reader r = {.corpus = corpus, .tokenizer = tokenizer, .options = options};
    struct gram_record_reader records = {.record = add_record, .text = add_plain, .user = &r};

    *corpus = (struct gram_corpus){0};
    GRAM_ASSERT(options->context >= 2);
    enum gram_status status = gram_record_file_read(&records, options->path, err);
    if (status == GRAM_OK)
        status = take_windows(&r, err);
    if (status == GRAM_OK)
        gram_corpus_hash(corpus);
    gram_ids_reset(&r.ids);
    return status;
}

int64_t gram_corpus_longest(const struct gram_corpus *corpus)
{
    int64_t longest = 0;
    for (size_t i = 0; i < corpus->n_windows; i++)
        longest = gram_max_i64(longest, corpus->windows[i].n);
    return longest;
}

struct gram_corpus gram_corpus_share(const struct gram_corpus *corpus, int rank, int size)
{
    const size_t first = corpus->n_windows * (size_t)rank / (size_t)size;
    const size_t end = corpus->n_windows * (size_t)(rank + 1) / (size_t)size;
    struct gram_corpus share = {.windows = corpus->windows + first, .n_windows = end - first};

    for (size_t i = 0; i < share.n_windows; i++)
        share.tokens += share.windows[i].n;
    return share;
}
