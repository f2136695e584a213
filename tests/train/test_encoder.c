/*
 * BERT against transformers: scores of padded batches, every hidden state, and the gradients of two losses;
 * and its ops against finite differences.
 */
#include <math.h>

#include "formats/store.h"
#include "support.h"
#include "train/loss.h"
#include "trainee.h"

enum { MOST_ROWS = 64 };

/* A batch as transformers pads it; here it has no padding. */
struct batch {
    int64_t n, length;
    int32_t tokens[MOST_ROWS], types[MOST_ROWS];
    int64_t lengths[4];
};

static void read_batch(struct batch *b, const char *folder)
{
    char path[256];
    struct npy ids, mask, types;

    snprintf(path, sizeof path, "%s/input_ids.npy", folder);
    ids = npy_load(shared_path(path));
    snprintf(path, sizeof path, "%s/attention_mask.npy", folder);
    mask = npy_load(shared_path(path));
    snprintf(path, sizeof path, "%s/token_type_ids.npy", folder);
    types = npy_load(shared_path(path));
    double *id = npy_doubles(&ids), *is_there = npy_doubles(&mask), *type = npy_doubles(&types);
    int64_t at = 0;

    *b = (struct batch){.n = ids.shape[0], .length = ids.shape[1]};
    assert_true(b->n <= 4 && b->n * b->length <= MOST_ROWS);
    for (int64_t i = 0; i < b->n * b->length; i++) {
        if (is_there[i] == 0.0)
            continue;
        b->tokens[at] = (int32_t)id[i];
        b->types[at++] = (int32_t)type[i];
        b->lengths[i / b->length]++;
    }
    free(id), free(is_there), free(type);
    free(ids.data), free(mask.data), free(types.data);
}

/* A forward pass whose values are kept. */
struct pass {
    struct trainee m;
    struct batch batch;
    struct gram_exec exec;
    struct gram_grad grad;
    struct gram_kv kv[4];
    struct gram_exec_segment segments[4];
    float scores[4], d_scores[4];
};

static void open_pass(struct pass *p, const char *folder, const char *hf)
{
    struct gram_error err;

    read_batch(&p->batch, folder);
    open_trainee(&p->m, hf, NULL, 2,
                 (struct gram_stepper_limits){.rows = MOST_ROWS, .sequences = 4, .length = MOST_ROWS});
    MUST(gram_exec_open(&p->exec, &p->m.graph, p->m.bindings, &p->m.kernels, p->m.rt->pool, MOST_ROWS,
                        GRAM_KEEP_BLOCK, &err));
    MUST(gram_grad_open(&p->grad, &p->exec, p->m.grads, &err));
    for (int64_t i = 0; i < p->batch.n; i++) {
        MUST(gram_kv_open(&p->kv[i], &p->m.graph, GRAM_KV_F32, p->batch.length, &err));
        p->segments[i] = (struct gram_exec_segment){.kv = &p->kv[i],
                                                    .rows = p->batch.lengths[i],
                                                    .length = p->batch.lengths[i],
                                                    .n_last = 1};
    }
}

static void close_pass(struct pass *p)
{
    for (int64_t i = 0; i < p->batch.n; i++)
        gram_kv_close(&p->kv[i]);
    gram_grad_close(&p->grad);
    gram_exec_close(&p->exec);
    close_trainee(&p->m);
}

static void forward(struct pass *p, gram_exec_hook *hook, void *user)
{
    const struct gram_exec_call call = {.segments = p->segments,
                                        .n_segments = p->batch.n,
                                        .tokens = p->batch.tokens,
                                        .types = p->batch.types,
                                        .result = p->scores,
                                        .hook = hook,
                                        .user = user};
    assert_true(gram_exec_run(&p->exec, &call));
}

/* Block by block, as memory wants it: the values of one block at a time are there. */
static void backward(struct pass *p)
{
    const struct gram_graph *g = &p->m.graph;
    const struct gram_exec_call call = {.segments = p->segments,
                                        .n_segments = p->batch.n,
                                        .tokens = p->batch.tokens,
                                        .types = p->batch.types,
                                        .result = p->scores};

    clear_gradients(&p->m);
    p->grad.values[g->result] = p->d_scores;
    gram_grad_run(&p->grad, g->blocks[g->n_blocks - 1].end, g->n_nodes);
    for (int b = g->n_blocks - 1; b >= 0; b--) {
        gram_exec_run_nodes(&p->exec, &call, 0, g->blocks[b].end);
        gram_grad_run(&p->grad, g->blocks[b].first, g->blocks[b].end);
    }
    gram_exec_run_nodes(&p->exec, &call, 0, g->blocks[0].first);
    gram_grad_run(&p->grad, 0, g->blocks[0].first);
}

/* ---- forward ---- */

struct states {
    struct pass *p;
    const double *hidden; /* [layers + 1, B, T, D] */
    int seen;
};

static bool compare_state(void *user, const struct gram_node *node, const float *values, int64_t rows,
                          int64_t cols)
{
    struct states *s = user;
    const struct batch *b = &s->p->batch;
    const char *dot = strrchr(node->name, '.');
    const bool is_state = strcmp(node->name, "embed") == 0 || (dot && strcmp(dot, ".out") == 0);

    (void)rows;
    if (!is_state)
        return true;
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t t = 0; t < b->lengths[i]; t++, values += cols) {
            const double *want = s->hidden + (((node->layer + 1) * b->n + i) * b->length + t) * cols;
            for (int64_t c = 0; c < cols; c++)
                if (!(fabs((double)values[c] - want[c]) <= 2e-4 + 1e-4 * fabs(want[c])))
                    fail_msg("%s: token %d of text %d: %g, not %g", node->name, (int)t, (int)i,
                             (double)values[c], want[c]);
        }
    s->seen++;
    return true;
}

static void scores_and_hidden_states_are_those_of_transformers(void **state)
{
    struct pass p;
    struct states states = {.p = &p};
    (void)state;

    need_shared("golden/models/bert_crossencoder/case.json");
    open_pass(&p, "golden/models/bert_crossencoder", shared_path("golden/models/bert_crossencoder/hf"));
    struct npy hidden = npy_load(shared_path("golden/models/bert_crossencoder/hidden_states.npy"));
    struct npy logits = npy_load(shared_path("golden/models/bert_crossencoder/logits.npy"));
    double *want = npy_doubles(&logits), *hidden_values = npy_doubles(&hidden);
    states.hidden = hidden_values;
    forward(&p, compare_state, &states);
    assert_int_equal(states.seen, hidden.shape[0]);
    for (int64_t i = 0; i < p.batch.n; i++)
        assert_true(fabs((double)p.scores[i] - want[i]) <= 1e-4 + 1e-4 * fabs(want[i]));
    free(want), free(hidden_values), free(hidden.data), free(logits.data);
    close_pass(&p);
}

/* ---- gradients ---- */

typedef double loss_fn(float *grad, const float *x, const float *target, int64_t n);

static void hold_gradients(const struct pass *p, const char *name)
{
    struct gram_error err;
    struct gram_store *store;

    MUST(gram_store_open(&store, training_file(name, "grads.safetensors"), &err));
    for (size_t i = 0; i < p->m.ck.desc.n_slots; i++) {
        const struct gram_weight_slot *slot = &p->m.ck.desc.slots[i];
        const struct gram_tensor *t = gram_store_find(store, slot->tensor);
        if (!t)
            fail_msg("%s: no gradient of %s", name, slot->tensor);
        hold_tensor(slot->tensor, p->m.grads[i], t->data, p->m.counts[i], 1e-4, 1e-7, 0.0);
    }
    gram_store_close(&store);
}

static void hold_loss(const char *name, loss_fn *loss)
{
    struct pass p;
    char folder[128], hf[256];

    snprintf(folder, sizeof folder, "golden/train/%s", name);
    snprintf(hf, sizeof hf, "%s", training_file(name, "hf"));
    open_pass(&p, folder, hf);
    double *labels = training_array(name, "labels.npy"), *want = training_array(name, "loss.npy");
    float targets[4];
    for (int64_t i = 0; i < p.batch.n; i++)
        targets[i] = (float)labels[i];
    forward(&p, NULL, NULL);
    assert_true(fabs(loss(p.d_scores, p.scores, targets, p.batch.n) - want[0]) <= 1e-4);
    backward(&p);
    hold_gradients(&p, name);
    free(labels), free(want);
    close_pass(&p);
}

static void losses_and_gradients_are_those_of_torch(void **state)
{
    (void)state;
    need_shared("golden/train/bert_mse/case.json");
    hold_loss("bert_mse", gram_loss_mse);
    hold_loss("bert_ce_bce", gram_loss_bce_logits);
}

/* d loss / d w of some weights of every parameter, by differences of the loss. */
static void gradients_equal_finite_differences(void **state)
{
    struct pass p;
    float targets[4] = {0.5f, -0.25f, 1.0f, 0.0f}, unused[4];
    (void)state;

    need_shared("golden/models/bert_crossencoder/case.json");
    open_pass(&p, "golden/models/bert_crossencoder", shared_path("golden/models/bert_crossencoder/hf"));
    forward(&p, NULL, NULL);
    gram_loss_mse(p.d_scores, p.scores, targets, p.batch.n);
    backward(&p);
    for (size_t i = 0; i < p.m.ck.desc.n_slots; i++) {
        const int64_t n = p.m.counts[i];
        int64_t at = 0;
        for (int64_t k = 1; k < n; k++)
            at = fabsf(p.m.grads[i][k]) > fabsf(p.m.grads[i][at]) ? k : at;
        float *w = &p.m.weights[i][at];
        const float was = *w, step = 1e-2f;
        *w = was + step;
        forward(&p, NULL, NULL);
        const double up = gram_loss_mse(unused, p.scores, targets, p.batch.n);
        *w = was - step;
        forward(&p, NULL, NULL);
        const double down = gram_loss_mse(unused, p.scores, targets, p.batch.n);
        *w = was;
        const double slope = (up - down) / (2.0 * (double)step), ours = (double)p.m.grads[i][at];
        if (!(fabs(slope - ours) <= 0.02 * fabs(ours) + 5e-5)) /* the loss is a sum of f32 */
            fail_msg("%s[%lld]: %g, differences say %g", p.m.ck.desc.slots[i].op, (long long)at, ours,
                     slope);
    }
    close_pass(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_and_hidden_states_are_those_of_transformers),
        cmocka_unit_test(losses_and_gradients_are_those_of_torch),
        cmocka_unit_test(gradients_equal_finite_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
