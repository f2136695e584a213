/* A model whose weights, or an adapter's, can move: what the tests of training share. */
#ifndef GRAM_TESTS_TRAINEE_H
#define GRAM_TESTS_TRAINEE_H

#include "base/runtime.h"
#include "engine/adapter.h"
#include "engine/checkpoint.h"
#include "train/optimizer.h"
#include "train/stepper.h"

struct trainee {
    struct gram_runtime *rt;
    struct gram_kernels kernels;
    struct gram_checkpoint ck;
    struct gram_graph graph;
    struct gram_lora lora;
    struct gram_low_rank *low_ranks;
    size_t n_params; /* slots, then the halves of the adapter's pairs */
    struct gram_binding *bindings;
    int64_t *counts;
    float **weights, **grads; /* [n_params]; under an adapter the slots have no gradients */
    struct gram_stepper stepper;
};

/* adapter: a folder, or NULL. */
void open_trainee(struct trainee *m, const char *path, const char *adapter, int threads,
                  struct gram_stepper_limits limits);
void close_trainee(struct trainee *m);
void clear_gradients(struct trainee *m);

/* The shared folder's cases of training. */
const char *training_file(const char *name, const char *file);
double *training_array(const char *name, const char *file);

/* Sequences of equal length, of a step of a case. */
enum { MOST_TOKENS = 64, MOST_SEQUENCES = 4 };
struct training_batch {
    int32_t tokens[MOST_TOKENS], labels[MOST_TOKENS];
    int64_t lengths[MOST_SEQUENCES];
    struct gram_sequences sequences;
};
void training_batch_fill(struct training_batch *batch, const double *ids, const double *labels,
                         int step, int n, int length);

/* got[n] against right: all but a share `outliers` within share * max |right| + absolute. */
void hold_tensor(const char *name, const float *got, const float *right, int64_t n, double share,
                 double absolute, double outliers);

#endif
