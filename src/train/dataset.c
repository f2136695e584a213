/*
 * Reading samples. Which tokens of a record belong to an answer is found by tokenizing the record up to where
 * the answer begins, and up to where it ends: what these have in common with the whole is what stands before.
 */
#include "train/dataset.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/rng.h"
#include "calib/record_file.h"
#include "train/loss.h"

struct reader {
    struct gram_dataset *data;
    const struct gram_tokenizer *tokenizer;
    const struct gram_dataset_options *options;
    int32_t eos;           /* -1: none */
    struct gram_ids ids;   /* of a record, or of the whole text */
    struct gram_ids front; /* of a record up to some byte */
    bool *is_answer;       /* [cap_answer]: of each id of a record */
    size_t cap_answer;
};

/* ---- samples ---- */

enum gram_status gram_dataset_add(struct gram_dataset *d, const int32_t *ids, const bool *is_answer,
                                  int64_t n, const char *what, struct gram_error *err)
{
    void *samples = d->samples;
    int32_t *tokens = gram_arena_take(&d->arena, 2 * (size_t)n, sizeof *tokens);
    int32_t *labels = tokens + n;

    if (!tokens || !gram_grow(&samples, &d->cap, d->n + 1, sizeof *d->samples))
        return gram_fail_memory(err, what);
    d->samples = samples;
    memcpy(tokens, ids, (size_t)n * sizeof *tokens);
    for (int64_t t = 0; t < n; t++)
        labels[t] = !is_answer || is_answer[t + 1] ? ids[t + 1] : GRAM_IGNORE;
    const int64_t counted = gram_loss_count(labels, n);
    if (counted == 0) {
        d->empty++;
        return GRAM_OK;
    }
    d->samples[d->n++] = (struct gram_sample){tokens, labels, n, counted};
    d->tokens += n;
    d->counted += counted;
    return GRAM_OK;
}

static enum gram_status encode(const struct reader *r, struct gram_ids *ids, const char *text,
                               size_t n, const char *where, struct gram_error *err)
{
    struct gram_error inner = {0};

    ids->len = 0;
    const enum gram_status status =
        gram_tokenizer_encode(r->tokenizer, text, n, GRAM_ENCODE_SPECIAL, ids, &inner);
    return status == GRAM_OK ? GRAM_OK : gram_fail(err, status, "%s: %s", where, inner.message);
}

/* ---- a text ---- */

static enum gram_status take_text(void *reader, const char *text, size_t n, const char *where,
                                  struct gram_error *err)
{
    struct reader *r = reader;
    const int64_t context = r->options->context;

    GRAM_TRY(encode(r, &r->ids, text, n, where, err));
    for (int64_t at = 0; at + 1 < (int64_t)r->ids.len; at += context)
        GRAM_TRY(gram_dataset_add(r->data, r->ids.at + at, NULL,
                                  gram_min_i64(context, (int64_t)r->ids.len - 1 - at),
                                  r->options->path, err));
    return GRAM_OK;
}

/* ---- a record ---- */

/* How many ids of the record stand before byte `end` of its text. */
static enum gram_status ids_before(struct reader *r, const struct gram_buf *text, size_t end,
                                   size_t *n, const char *where, struct gram_error *err)
{
    *n = r->ids.len;
    if (end == text->len)
        return GRAM_OK;
    GRAM_TRY(encode(r, &r->front, text->at, end, where, err));
    for (*n = 0; *n < r->front.len && *n < r->ids.len; ++*n)
        if (r->front.at[*n] != r->ids.at[*n])
            break;
    return GRAM_OK;
}

static enum gram_status mark_answers(struct reader *r, const struct gram_record *record,
                                     const char *where, struct gram_error *err)
{
    size_t first, end;

    for (size_t i = 0; i < record->n_answers; i++) {
        GRAM_TRY(ids_before(r, &record->text, record->answers[i].begin, &first, where, err));
        GRAM_TRY(ids_before(r, &record->text, record->answers[i].end, &end, where, err));
        for (size_t t = first; t < end; t++)
            r->is_answer[t] = true;
    }
    return GRAM_OK;
}

static bool has_last_word(const struct gram_record *record)
{
    return record->n_answers > 0 && record->answers[record->n_answers - 1].end == record->text.len;
}

/* One more id behind those of the record. */
static bool push_id(struct gram_ids *ids, int32_t id)
{
    void *at = ids->at;

    if (!gram_grow(&at, &ids->cap, ids->len + 1, sizeof *ids->at))
        return false;
    ids->at = at;
    ids->at[ids->len++] = id;
    return true;
}

static bool add_end(struct reader *r)
{
    const bool is_there = r->eos < 0 || (r->ids.len > 0 && r->ids.at[r->ids.len - 1] == r->eos);
    return is_there || push_id(&r->ids, r->eos);
}

static enum gram_status take_record(void *reader, const struct gram_record *record,
                                    const char *where, struct gram_error *err)
{
    struct reader *r = reader;
    const int64_t context = r->options->context;
    void *is_answer = r->is_answer;

    GRAM_TRY(encode(r, &r->ids, record->text.at ? record->text.at : "", record->text.len, where, err));
    if ((has_last_word(record) && !add_end(r)) ||
        !gram_grow(&is_answer, &r->cap_answer, r->ids.len + 1, sizeof *r->is_answer))
        return gram_fail_memory(err, where);
    r->is_answer = is_answer;
    memset(is_answer, 0, (r->ids.len + 1) * sizeof *r->is_answer);
    GRAM_TRY(mark_answers(r, record, where, err));
    const int64_t n = (int64_t)r->ids.len - 1;
    r->data->records++;
    r->data->cut += n > context;
    if (n < 1) {
        r->data->empty++;
        return GRAM_OK;
    }
    return gram_dataset_add(r->data, r->ids.at, r->is_answer, gram_min_i64(n, context),
                            r->options->path, err);
}

/* ---- the whole ---- */

static int32_t find_eos(const struct gram_tokenizer *tokenizer)
{
    for (int32_t id = 0; id < gram_tokenizer_vocab(tokenizer); id++)
        if (gram_tokenizer_is_eos(tokenizer, id))
            return id;
    return -1;
}

void gram_dataset_hash(struct gram_dataset *d)
{
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (size_t i = 0; i < d->n; i++) {
        const struct gram_sample *s = &d->samples[i];
        gram_sha256_add(&hash, &s->n, sizeof s->n);
        gram_sha256_add(&hash, s->tokens, (size_t)s->n * sizeof *s->tokens);
        gram_sha256_add(&hash, s->labels, (size_t)s->n * sizeof *s->labels);
    }
    gram_sha256_hex(&hash, d->hash);
}

enum gram_status gram_dataset_read(struct gram_dataset *data, const struct gram_tokenizer *tokenizer,
                                   const struct gram_dataset_options *options,
                                   struct gram_error *err)
{
    struct reader r = {.data = data, .tokenizer = tokenizer, .options = options};
    struct gram_record_reader records = {
        .record = take_record, .text = take_text, .user = &r, .skip_bad = options->skip_bad};

    *data = (struct gram_dataset){0};
    r.eos = find_eos(tokenizer);
    enum gram_status status = gram_record_file_read(&records, options->path, err);
    data->skipped = records.skipped;
    data->first_skipped = records.first;
    gram_ids_reset(&r.ids);
    gram_ids_reset(&r.front);
    free(r.is_answer);
    if (status == GRAM_OK && data->n == 0)
        status = gram_fail(err, GRAM_EINVAL,
                           "%s: nothing to learn: %" PRId64 " records without an answer within %" PRId64
                           " tokens, %" PRId64 " bad ones",
                           options->path, data->empty, options->context, data->skipped);
    gram_dataset_hash(data);
    return status;
}

void gram_dataset_reset(struct gram_dataset *data)
{
    free(data->samples);
    gram_arena_reset(&data->arena);
    *data = (struct gram_dataset){0};
}

/* ---- orders ---- */

/* Fisher and Yates, from the end. */
void gram_shuffled(int64_t *order, int64_t n, uint64_t seed, int64_t epoch)
{
    struct gram_rng rng = {seed ^ ((uint64_t)epoch + 1) * 0xd1342543de82ef95u};

    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t k = (int64_t)(gram_rng_unit(&rng) * (double)(i + 1));
        const int64_t other = order[k];
        order[k] = order[i];
        order[i] = other;
    }
}

/* Those that `is_held` marks go to held, the others close up. */
static void part(struct gram_dataset *data, struct gram_dataset *held, const bool *is_held)
{
    size_t left = 0;

    for (size_t i = 0; i < data->n; i++) {
        const struct gram_sample s = data->samples[i];
        if (!is_held[i]) {
            data->samples[left++] = s;
            continue;
        }
        held->samples[held->n++] = s;
        held->tokens += s.n;
        held->counted += s.counted;
        data->tokens -= s.n;
        data->counted -= s.counted;
    }
    data->n = left;
    gram_dataset_hash(data);
    gram_dataset_hash(held);
}

enum gram_status gram_dataset_hold_out(struct gram_dataset *data, struct gram_dataset *held,
                                       double share, uint64_t seed, struct gram_error *err)
{
    const int64_t n = (int64_t)data->n, wanted = (int64_t)(share * (double)n + 0.5);
    const int64_t count = gram_max_i64(1, gram_min_i64(wanted, n - 1));

    *held = (struct gram_dataset){0};
    if (n < 2)
        return gram_fail(err, GRAM_EINVAL,
                         "one sample cannot be split into what is learned and what is held out");
    int64_t *order = malloc((size_t)n * sizeof *order);
    bool *is_held = calloc((size_t)n, sizeof *is_held);
    held->samples = calloc((size_t)count, sizeof *held->samples);
    const bool ok = order && is_held && held->samples;
    if (ok) {
        gram_shuffled(order, n, seed, -1);
        for (int64_t i = 0; i < count; i++)
            is_held[order[i]] = true;
        part(data, held, is_held);
    }
    free(order);
    free(is_held);
    return ok ? GRAM_OK : gram_fail_memory(err, "the split of the samples");
}
