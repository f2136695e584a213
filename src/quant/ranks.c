#include "quant/ranks.h"

#include <inttypes.h>
#include <string.h>

#include "quant/blocks.h"

static bool is_first(const struct quantize *q)
{
    return gram_comm_rank(q->rt->comm) == 0;
}

enum gram_status gram_ranks_enter(struct quantize *q, struct gram_error *err)
{
    const size_t room = strlen(q->out) + 32;

    if (is_first(q))
        return GRAM_OK;
    char *own = gram_arena_take(&q->arena, room, 1);
    if (!own)
        return gram_fail_memory(err, q->out);
    snprintf(own, room, "%s.rank%d", q->out, gram_comm_rank(q->rt->comm));
    q->out = own;
    if (q->job) {
        q->silent = (struct gram_job){.cancelled = q->job->cancelled, .user = q->job->user};
        q->job = &q->silent;
    }
    return GRAM_OK;
}

static enum gram_status check_share(const struct quantize *q, struct gram_error *err)
{
    const int size = gram_comm_size(q->rt->comm);

    const char *whole = q->options->learn_epochs > 0                  ? "learning on whole blocks"
                        : q->options->save_stats || q->options->stats ? "keeping statistics"
                                                                      : NULL;

    if (q->blocks && whole)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s is not shared among %d processes; start gram without mpirun", whole, size);
    if (!q->blocks || !q->blocks->is_calibrated)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "mpirun started %d processes, and running a text through the model is all that is "
                         "shared among them, which this job does not do; start gram without mpirun",
                         size);
    if (q->blocks->share.n_windows > 0)
        return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL,
                     "%zu calibration windows cannot be shared among %d processes; take more text or fewer "
                     "processes",
                     q->blocks->corpus.n_windows, size);
}

enum gram_status gram_ranks_check(struct quantize *q, struct gram_error *err)
{
    if (!q->rt->comm)
        return GRAM_OK;
    GRAM_TRY(check_share(q, err));
    const struct gram_fingerprint mine = gram_quantize_fingerprint(q);
    struct gram_fingerprint first = mine;
    GRAM_TRY(gram_comm_share(q->rt->comm, &first, sizeof first, q->job, err));
    if (strcmp(mine.sources, first.sources) == 0 && strcmp(mine.recipe, first.recipe) == 0 &&
        strcmp(mine.calibration, first.calibration) == 0)
        return GRAM_OK;
    return gram_fail(err, GRAM_EINVAL,
                     "rank %d does not have the model, text, options or processor that rank 0 has",
                     gram_comm_rank(q->rt->comm));
}

enum gram_status gram_ranks_follow(struct quantize *q, bool *what, struct gram_error *err)
{
    return gram_comm_share(q->rt->comm, what, sizeof *what, q->job, err);
}

enum gram_status gram_ranks_take_over(struct quantize *q, struct gram_error *err)
{
    const float size = (float)gram_comm_size(q->rt->comm);
    struct gram_layout *layout = &q->layout;

    if (!q->rt->comm)
        return GRAM_OK;
    float *done = gram_arena_take(&q->arena, (size_t)layout->n_units, sizeof *done);
    if (!done)
        return gram_fail_memory(err, "the layout of the output");
    for (int64_t i = 0; i < layout->n_units; i++)
        done[i] = layout->units[i].result.is_done;
    GRAM_TRY(gram_comm_sum(q->rt->comm, done, layout->n_units, q->job, err));
    for (int64_t i = 0; i < layout->n_units; i++) {
        if (done[i] < size)
            layout->units[i].result = (struct gram_unit_result){0};
    }
    return GRAM_OK;
}

enum gram_status gram_ranks_publish(struct quantize *q, struct gram_error *err)
{
    bool is_published = true;

    if (is_first(q))
        GRAM_TRY(gram_output_publish(&q->output, err));
    GRAM_TRY(gram_ranks_follow(q, &is_published, err));
    if (!is_first(q))
        gram_output_discard(&q->output);
    return GRAM_OK;
}
