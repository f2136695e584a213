/* Choosing the next token from logits. */
#ifndef GRAM_SAMPLE_H
#define GRAM_SAMPLE_H

#include <stddef.h>
#include <stdint.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

/* Opaque; one thread at a time. */
struct gram_sampler;

/*
 * Applied in the order of the fields, as transformers does; the filters look at the probabilities
 * after temperature.
 */
struct gram_sampler_options {
    size_t struct_size;
    float temperature; /* 0 = greedy: the highest logit, the lowest id among equals; [0] */
    int top_k;         /* keep the k most probable; 0 = all [0] */
    float top_p;       /* keep the smallest set whose probability reaches p, in (0, 1] [1] */
    float min_p;       /* drop what is below min_p times the highest probability, in [0, 1] [0] */
    uint64_t seed;     /* same seed, same logits, same choices [0] */
};
#define GRAM_SAMPLER_OPTIONS_INIT {sizeof(struct gram_sampler_options), 0.0f, 0, 1.0f, 0.0f, 0}

/* Returns GRAM_OK, GRAM_EINVAL (a value out of its range), GRAM_ENOMEM. */
GRAM_API enum gram_status gram_sampler_open(struct gram_sampler **out, int64_t vocab,
                                            const struct gram_sampler_options *options,
                                            struct gram_error *err);
GRAM_API void gram_sampler_close(struct gram_sampler **sampler);

/* Pick from logits [vocab]; they are not changed. NaN is never picked; *token in 0..vocab-1.
 * Returns GRAM_OK, GRAM_ENONFINITE (no finite logit at all). */
GRAM_API enum gram_status gram_sampler_pick(struct gram_sampler *sampler, const float *logits,
                                            int32_t *token, struct gram_error *err);

GRAM_END_DECLS
#endif
