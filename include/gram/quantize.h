/* Writing a smaller version of a model. */
#ifndef GRAM_QUANTIZE_H
#define GRAM_QUANTIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/job.h>
#include <gram/runtime.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

/* A name and a sentence; arrays of these end with a NULL name. Static storage. */
struct gram_choice {
    const char *name;
    const char *summary;
};
GRAM_API const struct gram_choice *gram_schemes(void); /* presets: "w4a16", "w8a8", "bf16", ... */
GRAM_API const struct gram_choice *gram_methods(void); /* "rtn", "mse", "gptq", ... */
GRAM_API const struct gram_choice *gram_transforms(void); /* "none", ... */
GRAM_API const struct gram_choice *gram_activation_observers(void); /* "minmax", "mse", ... */

/* An option of a method or a transform. It is written behind the name: "gptq:block=64,no-act-order". */
struct gram_option {
    const char *name;     /* NULL ends an array */
    const char *argument; /* "N", given as name=N; NULL: a flag, which "no-<name>" switches off */
    const char *takers;   /* the methods or transforms that have it, separated by spaces */
    const char *summary;  /* with the default in brackets */
};
GRAM_API const struct gram_option *gram_method_option_list(void);
GRAM_API const struct gram_option *gram_transform_option_list(void);

/* One line of a recipe: linears whose name matches get this scheme and method. */
struct gram_recipe_rule {
    const char *pattern; /* shell pattern on the op name, "layers.*.mlp.down"; '*' crosses dots */
    const char *scheme;  /* "keep" leaves the tensor as it is */
    const char *method;  /* with options of its own, if any; NULL = the method of the options */
};

/*
 * A scheme is a preset or is spelled out: w<bits>a16 or w8a8, then any of
 *   -g<N>      one scale per N weights along the input (N >= 16, divides the input size)
 *   -channel   one scale per output channel
 *   -tensor    one scale for all
 *   -asym      with zero points
 * bits are 2, 3, 4, 5, 6 or 8. w<bits>a16 alone is symmetric with groups of 128 (w8a16: channel),
 * w8a8 is int8 per channel with int8 activations per token, quantized as they come, or with -static by
 * one scale for all of them. Grids that are not integers: nf4 and fp4 (-g<N> with N = 32, 64, .. 4096
 * [64], -dq for 8-bit scales), fp8 (-channel or -tensor), llm.int8; and ternary (-tensor, -channel,
 * -g<N>). "f16" and "bf16" are casts.
 */
struct gram_quantize_options {
    size_t struct_size;
    const char *scheme;  /* for every linear that no rule names; required unless recipe covers all */
    const char *method;  /* "gptq", "gptq:block=64"; NULL = the recipe file's, or else rtn [NULL] */
    const struct gram_recipe_rule *rules; /* the last matching rule wins; may be NULL */
    size_t n_rules;
    const char *recipe;  /* path of a recipe file (JSON: {"scheme","method","rules":[{"pattern",
                            "scheme","method"}]}); rules above come after its own; NULL = none */
    const char *scale_dtype; /* "f32", "f16", "bf16"; NULL = the weight's own, f32 for f32 models */
    bool quantize_lm_head;   /* [false] */
    bool force;              /* replace an existing output [false] */
    bool allow_nonfinite;    /* write NaN and Inf through instead of failing [false] */
    uint64_t max_shard_bytes; /* [5 GB] */

    const char *transform;    /* "awq", "smoothquant:alpha=0.7"; NULL = "none" */
    const char *calibration;  /* text or JSONL file that methods and transforms are calibrated on; required by
                                 those that need one [NULL] */
    int64_t calibration_tokens;  /* at most so many; 0 = all [32768] */
    int64_t calibration_context; /* tokens of a window; 0 = the model's limit, at most 2048 [0] */
    uint64_t memory;          /* most bytes that the process may take: activations go to a file before the
                                 job is refused; 0 = no limit [0] */
    uint64_t seed;            /* of the order of windows and of methods that draw [0] */
    /* For all methods that do not say otherwise themselves: */
    double damping;           /* added to the diagonal of X'X, as a share of its mean [0.01] */
    bool act_order;           /* columns with large inputs first [true] */
    int64_t iterations;       /* of iterative methods; 0 = the method's own, -1 = none [0] */
    bool sequential;          /* linears of a block see what those before them have become [true] */
    const char *observer;     /* of static activations: which range of them is kept; NULL = "minmax" */
    const char *save_stats;   /* collect what linears of the float model read, keep it in this file, and
                                 quantize by it; a file of this model and text is taken as it is [NULL] */
    const char *stats;        /* quantize by statistics that were kept; the model is not run [NULL] */
    bool correct_drift;       /* aim at the float model's outputs on the quantized one's inputs [false] */
    bool correct_bias;        /* biases of quantized linears take up the mean of what outputs lose [false] */
    int64_t learn_epochs;     /* learn codes and steps on the outputs of whole blocks, in so many passes
                                 over the calibration text; 0 = not [0] */
    bool as_reference;        /* gptq, ldlq, smoothquant, awq: as their authors' implementations do it,
                                 without what gram does beside [false] */
};
#define GRAM_QUANTIZE_OPTIONS_INIT                                                                   \
    {.struct_size = sizeof(struct gram_quantize_options), .max_shard_bytes = 5000000000u,          \
     .calibration_tokens = 32768, .damping = 0.01, .act_order = true, .sequential = true}

struct gram_quantize_report {
    uint64_t linears, kept;           /* linears quantized; linears left as they were */
    uint64_t resumed;                 /* tensors taken over from an interrupted run */
    uint64_t bytes_before, bytes_after;
    double bits_per_weight;           /* over all parameters of the output */
    double seconds;
    uint64_t calibration_tokens, calibration_windows; /* that were run; 0: none were needed */
    uint64_t fallbacks;               /* linears whose method failed numerically: they got mse */
    struct gram_estimate estimate;    /* what was foreseen before the work started */
    uint64_t memory_peak;             /* bytes: of the whole process, since it started */
};

/*
 * Read the model at `in`, quantize its linears, and write a Hugging Face directory `out`:
 * config.json with a compressed-tensors quantization_config, safetensors, the tokenizer files, and the
 * certificate gram.json. Streams tensor by tensor. `out` appears complete or not at all; a run that was
 * killed is resumed by the same call, from "<out>.partial". report and job may be NULL.
 * Returns GRAM_OK, GRAM_EINVAL (scheme, method or recipe; out is in), GRAM_EEXIST (out exists and not force,
 * or another job writes it), GRAM_ENONFINITE, GRAM_ENOSPC, GRAM_EIO, GRAM_ECANCELED (resumable), and what
 * opening a model returns.
 */
GRAM_API enum gram_status gram_quantize(struct gram_runtime *rt, const char *in, const char *out,
                                        const struct gram_quantize_options *options,
                                        struct gram_quantize_report *report,
                                        const struct gram_job *job, struct gram_error *err);

GRAM_END_DECLS
#endif
