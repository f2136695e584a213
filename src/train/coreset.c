#include "train/coreset.h"

#include <math.h>
#include <stdlib.h>

#include "train/loss.h"
#include "train/teacher.h"

bool gram_coreset_open(struct gram_coreset *c, const struct gram_dataset *data, int64_t rows,
                       int64_t context)
{
    if (c->share >= 1.0)
        return true;
    c->chosen = gram_arena_take(&c->arena, data->n, sizeof *c->chosen);
    c->scores = gram_arena_take(&c->arena, data->n, sizeof *c->scores);
    c->rows = gram_arena_take(&c->arena, (size_t)(rows * context), sizeof *c->rows);
    return c->chosen && c->scores && c->rows &&
           gram_batches_open(&c->all, data, rows, context, 0, false) &&
           gram_minibatch_open(&c->batch, &c->all, &c->arena);
}

void gram_coreset_close(struct gram_coreset *c)
{
    gram_batches_close(&c->all);
    gram_arena_reset(&c->arena);
    *c = (struct gram_coreset){0};
}

/* ---- scores ---- */

/* p[n] becomes softmax(p). */
static void softmax(float *p, int64_t n)
{
    float top = p[0];
    double sum = 0.0;

    for (int64_t i = 1; i < n; i++)
        top = fmaxf(top, p[i]);
    for (int64_t i = 0; i < n; i++) {
        p[i] = expf(p[i] - top);
        sum += (double)p[i];
    }
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)((double)p[i] / sum);
}

/* Length of p - q, where q is a teacher's, or (NULL) certain of the label. */
static double distance(const float *p, const float *q, int32_t label, int64_t n)
{
    double squares = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const double miss = (double)p[i] - (q ? (double)q[i] : i == label ? 1.0 : 0.0);
        squares += miss * miss;
    }
    return sqrt(squares);
}

struct rows {
    const struct gram_stepper *stepper;
    const int32_t *labels;
    double (*scores)[2]; /* [rows]: error and disagreement */
};

static void score_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rows *r = context;
    const struct gram_stepper *s = r->stepper;
    const int64_t vocab = s->graph->values[s->graph->result].cols;

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        float *p = s->logits + t * vocab, *q = s->teacher ? s->teacher->logits + t * vocab : NULL;
        r->scores[t][0] = r->scores[t][1] = 0.0;
        if (r->labels[t] == GRAM_IGNORE)
            continue;
        softmax(p, vocab);
        r->scores[t][0] = distance(p, NULL, r->labels[t], vocab);
        if (q) {
            softmax(q, vocab);
            r->scores[t][1] = distance(p, q, 0, vocab);
        }
    }
}

/* Samples from `at` on are the sequences of the batch. */
static void score_batch(struct gram_coreset *c, struct gram_stepper *stepper, int64_t at)
{
    const struct gram_sequences in = gram_minibatch_sequences(&c->batch);
    struct rows rows = {stepper, in.labels, c->rows};
    int64_t t = 0;

    gram_stepper_loss(stepper, &in, 1.0);
    if (stepper->teacher)
        gram_teacher_run(stepper->teacher, &in);
    gram_pool_for(stepper->exec.pool, c->batch.tokens_n, 8, score_rows, &rows);
    for (int64_t i = 0; i < in.n; i++) {
        struct gram_score *score = &c->scores[at + i];
        *score = (struct gram_score){.sample = at + i};
        for (const int64_t end = t + in.lengths[i]; t < end; t++) {
            score->error += c->rows[t][0];
            score->disagreement += c->rows[t][1];
        }
        score->error /= (double)c->all.data->samples[at + i].counted;
        score->disagreement /= (double)c->all.data->samples[at + i].counted;
    }
}

/* ---- the choice ---- */

static int by_falling_score(const void *a, const void *b)
{
    const struct gram_score *x = a, *y = b;

    if (x->mixed != y->mixed)
        return x->mixed > y->mixed ? -1 : 1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

void gram_coreset_choose(float *chosen, struct gram_score *scores, int64_t n, double share)
{
    const int64_t wanted = (int64_t)ceil(share * (double)n);

    qsort(scores, (size_t)n, sizeof *scores, by_falling_score);
    for (int64_t i = 0; i < n; i++)
        chosen[scores[i].sample] = i < wanted ? 1.0f : 0.0f;
}

void gram_coreset_renew(struct gram_coreset *c, struct gram_stepper *stepper, int64_t epoch)
{
    const double quarter = 1.5707963267948966, done = (double)epoch / (double)c->epochs;
    const double beta = stepper->teacher ? cos(quarter * fmin(done, 1.0)) : 1.0;
    const int64_t n = (int64_t)c->all.data->n;

    c->all.position = (struct gram_position){0, 0};
    while (c->all.position.at < n) {
        const int64_t at = c->all.position.at;
        gram_batches_next(&c->all, &c->batch);
        score_batch(c, stepper, at);
    }
    for (int64_t i = 0; i < n; i++)
        c->scores[i].mixed =
            beta * c->scores[i].error + (1.0 - beta) * c->scores[i].disagreement;
    gram_coreset_choose(c->chosen, c->scores, n, c->share);
}
