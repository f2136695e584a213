/* A model's own text as samples. */
#include <gram/model.h>
#include "calib/corpus.h"
#include "train/dataset.h"

static enum gram_status take_windows(struct gram_dataset *data, const struct gram_corpus *corpus,
                                     struct gram_error *err)
{
    for (size_t i = 0; i < corpus->n_windows; i++)
        GRAM_TRY(gram_dataset_add(data, corpus->windows[i].tokens, NULL, corpus->windows[i].n - 1,
                                  "the model's own text", err));
    gram_dataset_hash(data);
    return GRAM_OK;
}

enum gram_status gram_dataset_generate(struct gram_dataset *data, struct gram_runtime *rt,
                                       const char *path, const struct gram_tokenizer *tokenizer,
                                       int64_t context, int64_t tokens, uint64_t seed,
                                       const struct gram_job *job, struct gram_error *err)
{
    struct gram_corpus corpus = {0};
    struct gram_model *model;

    GRAM_TRY(gram_model_open(&model, rt, path, err));
    enum gram_status status =
        gram_corpus_generate(&corpus, model, tokenizer, context, tokens, seed, job, err);
    gram_model_close(&model);
    if (status == GRAM_OK)
        status = take_windows(data, &corpus, err);
    gram_corpus_reset(&corpus);
    return status;
}
