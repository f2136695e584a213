/* One call of gram_merge on its way: merge.c runs it, merge_report.c says what came of it. */
#ifndef GRAM_TRAIN_MERGING_H
#define GRAM_TRAIN_MERGING_H

#include <gram/merge.h>

#include "train/export.h"
#include "train/merge_linear.h"

/* Of a linear that was merged. */
struct gram_merging_result {
    bool is_merged;
    char scheme[GRAM_SCHEME_NAME];
    double squares, change, error; /* sums of squares, as struct gram_merged has them */
};

struct gram_merging {
    struct gram_runtime *rt;
    const char *in, *out;
    const struct gram_adapter *adapters;
    size_t n;
    struct gram_merge_options o;
    const struct gram_job *job;

    struct gram_kernels kernels;
    struct gram_checkpoint ck;
    struct gram_lora *loras;             /* [n] */
    bool *moves;                         /* [slots] */
    struct gram_merging_result *results; /* [slots] */
    struct gram_export export;
    struct gram_output *output;
    struct gram_arena arena;
    struct gram_arena linear; /* of the linear at hand */
    struct gram_merge_report report;
};

/* Write gram.json. */
enum gram_status gram_merging_certify(const struct gram_merging *m, struct gram_error *err);
/* Add up the report from the results. */
void gram_merging_sum_up(struct gram_merging *m);
/* The lengths of a result's change and error, over that of the sum. */
double gram_merging_share(double part, double squares);

#endif
