#include "trainee.h"

#include <math.h>

#include "support.h"
#include "tensor/dtype.h"
#include "train/loss.h"

static void take_slot(struct trainee *m, size_t i)
{
    const struct gram_weight_slot *slot = &m->ck.desc.slots[i];
    struct gram_error err;

    m->counts[i] = slot->rows * slot->cols;
    m->weights[i] = calloc((size_t)m->counts[i], sizeof(float));
    MUST(gram_checkpoint_read(&m->ck, slot, m->weights[i], &err));
    if (!m->low_ranks)
        m->grads[i] = calloc((size_t)m->counts[i], sizeof(float));
}

static void take_half(struct trainee *m, size_t i, const float *from, int64_t n)
{
    m->counts[i] = n;
    m->weights[i] = calloc((size_t)n, sizeof(float));
    m->grads[i] = calloc((size_t)n, sizeof(float));
    memcpy(m->weights[i], from, (size_t)n * sizeof(float));
}

static void bind(struct trainee *m, size_t i, int64_t rows, int64_t cols)
{
    m->bindings[i].vector = m->weights[i];
    m->bindings[i].weight = (struct gram_weight){.rows = rows,
                                                 .cols = cols,
                                                 .data = m->weights[i],
                                                 .row_bytes = cols * (int64_t)sizeof(float),
                                                 .dtype = GRAM_F32};
}

static void take_params(struct trainee *m)
{
    const size_t n = m->ck.desc.n_slots;

    m->n_params = n + 2 * m->lora.n_pairs;
    m->bindings = calloc(m->n_params, sizeof *m->bindings);
    m->counts = calloc(m->n_params, sizeof *m->counts);
    m->weights = calloc(m->n_params, sizeof *m->weights);
    m->grads = calloc(m->n_params, sizeof *m->grads);
    for (size_t i = 0; i < n; i++) {
        take_slot(m, i);
        bind(m, i, m->ck.desc.slots[i].rows, m->ck.desc.slots[i].cols);
    }
    for (size_t i = 0; i < m->lora.n_pairs; i++) {
        const struct gram_lora_pair *pair = &m->lora.pairs[i];
        take_half(m, n + 2 * i, pair->a, pair->rank * pair->slot->cols);
        bind(m, n + 2 * i, pair->rank, pair->slot->cols);
        take_half(m, n + 2 * i + 1, pair->b, pair->slot->rows * pair->rank);
        bind(m, n + 2 * i + 1, pair->slot->rows, pair->rank);
    }
}

void open_trainee(struct trainee *m, const char *path, const char *adapter, int threads,
                  struct gram_stepper_limits limits)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_error err;

    *m = (struct trainee){0};
    options.threads = threads;
    MUST(gram_runtime_open(&m->rt, &options, &err));
    gram_kernels_init(&m->kernels, m->rt->cpu_flags);
    MUST(gram_checkpoint_open(&m->ck, path, &err));
    if (adapter) {
        MUST(gram_lora_read(&m->lora, &m->ck.desc, adapter, &err));
        m->low_ranks = calloc(m->lora.n_pairs, sizeof *m->low_ranks);
        gram_lora_low_ranks(&m->lora, &m->ck.desc, (int)m->ck.desc.n_slots, 1.0, m->low_ranks);
        m->ck.desc.pairs = m->low_ranks;
        m->ck.desc.n_pairs = m->lora.n_pairs;
    }
    MUST(gram_arch_build(&m->ck.desc, &m->graph, &err));
    take_params(m);
    MUST(gram_stepper_open(&m->stepper, &m->ck.desc, &m->graph, m->bindings, m->grads, &m->kernels,
                           m->rt->pool, limits, &err));
}

void close_trainee(struct trainee *m)
{
    gram_stepper_close(&m->stepper);
    for (size_t i = 0; i < m->n_params; i++) {
        free(m->weights[i]);
        free(m->grads[i]);
    }
    free(m->weights);
    free(m->grads);
    free(m->counts);
    free(m->bindings);
    free(m->low_ranks);
    gram_lora_reset(&m->lora);
    gram_graph_reset(&m->graph);
    gram_checkpoint_reset(&m->ck);
    gram_runtime_close(&m->rt);
}

void clear_gradients(struct trainee *m)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (m->grads[i])
            memset(m->grads[i], 0, (size_t)m->counts[i] * sizeof(float));
}

const char *training_file(const char *name, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "golden/train/%s/%s", name, file);
    return shared_path(path);
}

double *training_array(const char *name, const char *file)
{
    const struct npy npy = npy_load(training_file(name, file));
    double *values = npy_doubles(&npy);
    free(npy.data);
    return values;
}

/* Labels come unshifted, as transformers takes them. */
void training_batch_fill(struct training_batch *batch, const double *ids, const double *labels,
                         int step, int n, int length)
{
    for (int i = 0; i < n * length; i++) {
        const int at = step * n * length + i;
        batch->tokens[i] = (int32_t)ids[at];
        batch->labels[i] = i % length < length - 1 ? (int32_t)labels[at + 1] : GRAM_IGNORE;
        batch->lengths[i / length] = length;
    }
    batch->sequences = (struct gram_sequences){batch->tokens, batch->labels, batch->lengths, n};
}

void hold_tensor(const char *name, const float *got, const float *right, int64_t n, double share,
                 double absolute, double outliers)
{
    double most = 0.0, worst = 0.0;
    int64_t bad = 0;

    for (int64_t k = 0; k < n; k++)
        most = fmax(most, fabs((double)right[k]));
    for (int64_t k = 0; k < n; k++) {
        const double off = fabs((double)got[k] - (double)right[k]);
        worst = fmax(worst, off);
        bad += !(off <= share * most + absolute);
    }
    if ((double)bad > outliers * (double)n)
        fail_msg("%s: %lld of %lld off, by up to %g of %g", name, (long long)bad, (long long)n,
                 worst, most);
}
