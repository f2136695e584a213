/* Merging: adapters become part of the weights, and what that costs. */
#ifndef GRAM_MERGE_H
#define GRAM_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/job.h>
#include <gram/model.h>
#include <gram/runtime.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

/* What storing a merged weight may lose and still be called exact: the rounding of f32. */
#define GRAM_MERGE_EXACT 1e-6

/* A linear that was merged. Lengths are of its weights as one vector. */
struct gram_merge_tensor {
    const char *op;     /* "layers.3.attn.q" */
    const char *scheme; /* that it is stored under: "bf16", "w4a16-g128-asym" */
    double change;      /* length of what the adapters add, over that of W + s B A */
    double error;       /* length of what storing W + s B A lost, over the same */
    bool is_exact;      /* error <= GRAM_MERGE_EXACT */
};

struct gram_merge_options {
    size_t struct_size;
    const char *scheme;     /* as gram_quantize takes it; NULL: what the base has [NULL] */
    const char *text;       /* a text to measure the merged model on, beside the unmerged one [NULL] */
    int64_t context;        /* tokens per window; 0 = the model's limit, at most 2048 [0] */
    int64_t max_tokens;     /* of the text; 0 = all [0] */
    bool force;             /* replace an existing output [false] */
    void (*on_tensor)(void *user, const struct gram_merge_tensor *tensor); /* NULL for none */
    void *user;
};
#define GRAM_MERGE_OPTIONS_INIT {.struct_size = sizeof(struct gram_merge_options)}

struct gram_merge_report {
    uint64_t linears, exact;    /* that were merged; that lost nothing */
    double change, error;       /* as of a tensor, over all of them */
    uint64_t bytes;             /* of all tensors */
    bool is_measured;           /* the fields below are filled */
    uint64_t tokens;
    double ppl_unmerged, ppl;   /* perplexity with the adapters beside the weights; merged */
    double kl_mean, top1_agreement; /* of the merged model beside the unmerged one */
    double seconds;
};

/*
 * Merge n adapters, which add up, into the model at `in` and write `out`, a model directory. A float model
 * keeps its types. A linear that is quantized is quantized again on its own grid: groups keep their step,
 * shift their zero point (which is exact where the adapter adds the same number of whole steps to all
 * weights of a group: QA-LoRA) or get a new step, whichever loses least; linears without a pair stay as
 * they are stored. `out` appears complete or not at all. report and job may be NULL. Returns GRAM_OK,
 * GRAM_EINVAL, GRAM_EEXIST, GRAM_EIO, GRAM_ENOSPC, GRAM_ENONFINITE, GRAM_ECANCELED, GRAM_ENOMEM, and what
 * opening a model and adapting it return.
 */
GRAM_API enum gram_status gram_merge(struct gram_runtime *rt, const char *in, const char *out,
                                     const struct gram_adapter *adapters, size_t n,
                                     const struct gram_merge_options *options,
                                     struct gram_merge_report *report, const struct gram_job *job,
                                     struct gram_error *err);

GRAM_END_DECLS
#endif
