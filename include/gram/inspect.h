/* What is inside a model or a safetensors file, and what each scheme would cost. */
#ifndef GRAM_INSPECT_H
#define GRAM_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <gram/job.h>
#include <gram/model.h>

GRAM_BEGIN_DECLS

/* Statistics of one tensor; of quantized codes only the sizes are meaningful (has_values false). */
struct gram_tensor_report {
    struct gram_tensor tensor; /* view borrowed from the report */
    bool has_values;           /* a floating dtype: the fields below are filled */
    double absmax, mean, std;
    double kurtosis;           /* fourth standardized moment; 3 for a normal distribution */
    double outliers;           /* share of elements beyond 6 standard deviations from the mean, 0..1 */
    uint64_t nonfinite;        /* NaN and Inf elements; the statistics leave them out */
};

/* What the linears would take under one scheme; everything else as it is. */
struct gram_scheme_cost {
    const char *scheme;
    uint64_t bytes;         /* of all tensors */
    double bits_per_weight; /* over all parameters */
};

struct gram_inspect_report {
    bool is_model; /* false for a lone .safetensors file: info is then zero but for path */
    struct gram_model_info info;
    const struct gram_tensor_report *tensors;
    size_t n_tensors;
    const struct gram_scheme_cost *costs; /* of the preset schemes that fit; none for a lone file
                                             or a model that is quantized already */
    size_t n_costs;
    void *owner;
};

/*
 * Open `path` (a model as gram_model_open() takes it, or one .safetensors file) and fill *report;
 * with_statistics reads every weight once. Release with gram_inspect_reset(). Returns what
 * gram_model_open() returns, and GRAM_ECANCELED. job may be NULL.
 */
GRAM_API enum gram_status gram_inspect(struct gram_inspect_report *report, struct gram_runtime *rt,
                                       const char *path, bool with_statistics,
                                       const struct gram_job *job, struct gram_error *err);
GRAM_API void gram_inspect_reset(struct gram_inspect_report *report);

GRAM_END_DECLS
#endif
