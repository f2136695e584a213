/* The data of a training: read, held against the model's vocabulary, split. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "train/tuning.h"

enum { SELF_TOKENS = 65536 }; /* unless told */

static void tell_skipped(const struct gram_tuning *t, const char *path,
                         const struct gram_dataset *data)
{
    char sentence[800];

    if (data->skipped > 0) {
        snprintf(sentence, sizeof sentence,
                 "%s: %" PRId64 " bad records were passed over, the first one: %s", path,
                 data->skipped, data->first_skipped.message);
        gram_tuning_warn(t, sentence);
    }
    if (data->cut > 0) {
        snprintf(sentence, sizeof sentence,
                 "%s: %" PRId64 " of %" PRId64 " records are longer than %" PRId64
                 " tokens; what lies behind is not learned",
                 path, data->cut, data->records, t->o.context);
        gram_tuning_warn(t, sentence);
    }
}

static enum gram_status read_data(struct gram_tuning *t, struct gram_dataset *data,
                                  const char *path, const struct gram_tokenizer *tokenizer,
                                  struct gram_error *err)
{
    const struct gram_dataset_options options = {path, t->o.context, t->o.skip_bad};

    GRAM_TRY(gram_dataset_read(data, tokenizer, &options, err));
    tell_skipped(t, path, data);
    for (size_t i = 0; i < data->n; i++)
        for (int64_t k = 0; k < data->samples[i].n; k++)
            if (data->samples[i].tokens[k] >= t->ck.desc.hp.vocab ||
                data->samples[i].labels[k] >= t->ck.desc.hp.vocab)
                return gram_fail(err, GRAM_EFORMAT,
                                 "%s: the tokenizer makes ids that the model's %" PRId64
                                 " rows of embedding do not reach",
                                 t->in, t->ck.desc.hp.vocab);
    return GRAM_OK;
}

/* A file, what the model says, or both. */
static enum gram_status gather_data(struct gram_tuning *t, const struct gram_tokenizer *tokenizer,
                                    struct gram_error *err)
{
    const bool is_self = strcmp(t->o.data, "self") == 0;
    const int64_t tokens = is_self && t->o.self_tokens == 0 ? SELF_TOKENS : t->o.self_tokens;

    if (!is_self)
        GRAM_TRY(read_data(t, &t->data, t->o.data, tokenizer, err));
    if (tokens == 0)
        return GRAM_OK;
    return gram_dataset_generate(&t->data, t->rt, t->o.reference ? t->o.reference : t->in, tokenizer,
                                 t->o.context, tokens, t->o.seed, t->job, err);
}

enum gram_status gram_tuning_open_data(struct gram_tuning *t, struct gram_error *err)
{
    struct gram_tokenizer *tokenizer;

    GRAM_TRY(gram_tokenizer_open(&tokenizer, t->ck.path, err));
    enum gram_status status = gather_data(t, tokenizer, err);
    if (status == GRAM_OK && t->o.eval_data)
        status = read_data(t, &t->held, t->o.eval_data, tokenizer, err);
    else if (status == GRAM_OK && t->o.eval_share > 0.0)
        status = gram_dataset_hold_out(&t->data, &t->held, t->o.eval_share, t->o.seed, err);
    gram_tokenizer_close(&tokenizer);
    return status;
}
