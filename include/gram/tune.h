/* Training: a model, or an adapter for it, learns from text. */
#ifndef GRAM_TUNE_H
#define GRAM_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/job.h>
#include <gram/quantize.h>
#include <gram/runtime.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

/* "full", "lora", "qlora", "qat", "lora-qat", "qa-lora", "steps" */
GRAM_API const struct gram_choice *gram_tune_methods(void);

/* One step, as it is done. */
struct gram_tune_step {
    int64_t step;      /* 1, 2, ... */
    double epoch;      /* epochs done after it */
    int64_t tokens;
    double loss;       /* mean over the labels of the step, before it */
    double grad_norm;  /* before clipping */
    double lr;
    double tokens_per_s;
    double held_loss;  /* after it, on what was held out; NAN: not measured */
};

/* What a training takes, in bytes, as it is planned before the first step. */
struct gram_tune_memory {
    uint64_t weights;     /* what is trained, in f32, with its grids; the base of an adapter as it lies */
    uint64_t gradients;
    uint64_t states;      /* of the optimizer; 0 when they are paged */
    uint64_t activations; /* of a pass: values, their gradients, logits, caches */
    uint64_t total;       /* with everything else */
    bool keeps_all;       /* values of all blocks stay; false: blocks are run again on the way back */
    bool is_paged;        /* states lie in a file */
    int64_t rows;         /* of a batch that a pass takes */
};

struct gram_tune_options {
    size_t struct_size;
    const char *method;    /* [full] */
    const char *data;      /* *.jsonl, *.json (records), a text, or "self", what the model says; required */
    int64_t self_tokens;   /* ... so many tokens of it, or of it beside a file; 0 = 65536 for "self", none
                              beside a file [0] */
    const char *eval_data; /* the same, held out [NULL] */
    double eval_share;     /* of the data, held out if eval_data is NULL; 0 = none [0] */
    bool skip_bad;         /* pass over bad records and count them, instead of failing [false] */

    int64_t context;       /* tokens of a row; 0 = the model's limit, at most 512 [0] */
    int64_t rows;          /* of a batch [4] */
    int64_t accumulate;    /* batches of a step [1] */
    int64_t epochs;        /* [1] */
    int64_t steps;         /* 0 = as many as the epochs have [0] */
    const char *optimizer; /* adamw, adamw8bit, sgd, ... as docs/training.md lists them [adamw] */
    const char *schedule;  /* constant, linear, cosine, ... as docs/training.md lists them [cosine] */
    double lr;             /* 0 = the method's: 1e-4 full, 2e-4 lora and qlora, 5e-3 qa-lora, 1e-3 else [0] */
    double warmup;         /* share of the steps in which the rate grows [0.03] */
    double weight_decay;   /* [0] */
    double clip;           /* longest gradient; 0 = any [1] */
    uint64_t seed;         /* [0] */
    int64_t eval_every;    /* steps; 0 = at the start and the end [0] */
    int64_t patience;      /* measurements without a new best that end it, with the best; 0 = none [0] */
    int64_t keep_every;    /* steps between checkpoints; 0 = none but when interrupted [100] */

    double distill;        /* share of the loss that is the divergence from the reference's logits [0] */
    double distill_temperature; /* of both distributions [1] */
    double block_mse;      /* weight of the relative squared error of what leaves the blocks [0] */
    const char *reference; /* a model to hold against; NULL = MODEL as it is [NULL] */
    double coreset;        /* share of the samples that makes an epoch: those that matter most then [1] */
    int64_t coreset_every; /* epochs between choices [1] */

    bool from_random;      /* full, qat: MODEL gives shape and tokenizer, weights begin anew [false] */

    const char *scheme;    /* qat, lora-qat: the grid, as gram_quantize takes it [w4a16]; qlora: of the
                              base that is made of a float model [nf4-dq] */
    const char *start;     /* qat: the model quantized, whose codes it begins with; without a scheme, on its
                              grids [NULL] */
    double channels;       /* qat: share of the rows of each linear that is trained, the largest ones [1] */
    const char *ranges;    /* qat: one scale for all activations is "learned", or "observed" [learned] */
    int64_t watch_steps;   /* qat: steps in which it follows what is seen; 0 = a tenth of all [0] */
    const char *kv;        /* what the cache of keys and values holds: f32, f16, int8 [f32] */
    int64_t rank;          /* of adapters [16] */
    double alpha;          /* of adapters: pairs count alpha / rank times; 0 = 2 rank [0] */
    const char *targets;   /* of adapters: ends of module names, "q_proj,v_proj", or a regular expression
                              for whole names; NULL or "all-linear" = all linears of the blocks */
    const char *store;     /* full: type of the weights that are written: f32, f16 or bf16; NULL = as read */
    uint64_t memory;       /* most bytes that it may take; 0 = no limit [0] */
    bool paged;            /* states of the optimizer in a file that may be evicted [false] */
    bool force;            /* replace an existing output [false] */

    const char *rank_pattern;  /* of adapters: other ranks of some linears, "down_proj=32" [NULL] */
    const char *alpha_pattern; /* the same of alpha [NULL] */
    bool use_rslora;           /* alpha / sqrt(rank) instead of alpha / rank [false] */
    double dropout;            /* lora, qlora: of what the pairs read; below 1 [0] */
    int64_t loftq;             /* qlora: iterations of LoftQ that begin the pairs; 0 = none [0] */
    const char *base_out;      /* qlora: where the base that was made is written [NULL] */

    void (*on_step)(void *user, const struct gram_tune_step *step); /* NULL for none; as job's callbacks */
    void (*on_memory)(void *user, const struct gram_tune_memory *memory); /* before the first step; or NULL */
    void *user;
};
#define GRAM_TUNE_OPTIONS_INIT                                                                       \
    {.struct_size = sizeof(struct gram_tune_options), .rows = 4,                              \
     .accumulate = 1, .epochs = 1, .warmup = 0.03, .clip = 1.0, .keep_every = 100,                 \
     .distill_temperature = 1.0, .coreset = 1.0, .coreset_every = 1, .channels = 1.0, .rank = 16}

struct gram_tune_report {
    int64_t steps, steps_planned, resumed_from; /* steps done; of the plan; 0: not resumed */
    int64_t samples, held_samples, records, skipped, cut, empty;
    int64_t tokens;                             /* learned from, repetitions included */
    uint64_t trained, parameters;               /* weights that moved; of the model */
    double first_loss, last_loss;
    double held_before, held_after;             /* NAN: nothing was held out */
    double seconds;
    double loftq_before, loftq_after; /* |W - Q| and |W - Q - s B A| over |W|; NAN: no LoftQ */
    struct gram_tune_memory memory;
};

/*
 * Train the model at `in` and write `out`: for full, qat, lora-qat and steps a Hugging Face directory (on the
 * grid of the scheme, or of the source where that is quantized), for lora, qlora and qa-lora an adapter in
 * PEFT's format. docs/training.md says what each method trains. The base of an adapter may be quantized, that
 * of qa-lora must be; it stays as it is. `out` appears complete or not at all; checkpoints are kept in
 * "<out>.partial", from which the same call goes on to the same bytes. report and job may be NULL.
 * Returns GRAM_OK, GRAM_EINVAL, GRAM_EFORMAT (data: names the line), GRAM_EEXIST, GRAM_EIO, GRAM_ENOSPC,
 * GRAM_ENUMERIC (the loss is not finite: the last checkpoint is kept), GRAM_ECANCELED (resumable),
 * GRAM_ENOMEM, and what opening a model returns.
 */
GRAM_API enum gram_status gram_tune(struct gram_runtime *rt, const char *in, const char *out,
                                    const struct gram_tune_options *options,
                                    struct gram_tune_report *report, const struct gram_job *job,
                                    struct gram_error *err);

GRAM_END_DECLS
#endif
