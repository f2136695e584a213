/* What a training takes is planned, kept to a limit, and told before the first step. */
#include <stdlib.h>
#include <string.h>

#include "train/tuning.h"

enum { MOVED = 2 * sizeof(float), ON_GRID = sizeof(float) + 1 }; /* bytes of a weight */

enum gram_status gram_tuning_check_memory(const struct gram_tuning *t, struct gram_error *err)
{
    uint64_t weights = 0;

    for (size_t i = 0; !t->method->is_lora && !t->method->is_steps && i < t->ck.desc.n_slots; i++)
        weights += (uint64_t)(t->ck.desc.slots[i].rows * t->ck.desc.slots[i].cols);
    return gram_budget_check(t->in, weights * (t->method->is_qat ? MOVED + ON_GRID : MOVED),
                             t->o.memory, err);
}

static uint64_t data_bytes(const struct gram_dataset *data)
{
    uint64_t tokens = 0;

    for (size_t i = 0; i < data->n; i++)
        tokens += (uint64_t)data->samples[i].n;
    return tokens * 2 * sizeof(int32_t);
}

/* The output's folder, or for a rank that writes none the one that will hold it. free() it. */
static char *paged_folder(const struct gram_tuning *t)
{
    const char *slash = strrchr(t->out, '/');

    if (t->output)
        return strdup(gram_output_folder(t->output));
    return slash > t->out ? strndup(t->out, (size_t)(slash - t->out)) : strdup(slash ? "/" : ".");
}

static enum gram_status place_states(struct gram_tuning *t, struct gram_error *err)
{
    char *folder = t->budget.memory.is_paged ? paged_folder(t) : NULL;
    const enum gram_status status =
        t->budget.memory.is_paged && !folder
            ? gram_fail_memory(err, "the states of the optimizer")
            : gram_params_place(&t->learner.params, folder, err);

    free(folder);
    return status;
}

enum gram_status gram_tuning_plan_memory(struct gram_tuning *t, struct gram_error *err)
{
    const struct gram_budget_ask ask = {
        .what = t->in,
        .learner = &t->learner,
        .rows = t->o.rows,
        .context = t->o.context,
        .samples_per_row = GRAM_ROW_SAMPLES,
        .data = data_bytes(&t->data) + data_bytes(&t->held) + gram_arena_bytes(&t->teacher.arena) +
                gram_arena_bytes(&t->teacher.exec.arena),
        .limit = t->o.memory,
        .is_paged = t->o.paged,
        .keeps_best = t->o.patience > 0,
        .keeps_logits = t->trainer_options.teacher || t->o.coreset < 1.0,
        .kv = t->trainer_options.kv,
    };

    GRAM_TRY(gram_budget_make(&t->budget, &ask, err));
    t->trainer_options.limits = t->budget.limits;
    if (t->o.on_memory && gram_comm_rank(t->rt->comm) == 0)
        t->o.on_memory(t->o.user, &t->budget.memory);
    return place_states(t, err);
}

json_t *gram_tuning_print_memory(const struct gram_tuning *t)
{
    const struct gram_tune_memory *m = &t->budget.memory;
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:I}", "weights", (json_int_t)m->weights,
                     "gradients", (json_int_t)m->gradients, "states", (json_int_t)m->states,
                     "activations", (json_int_t)m->activations, "keeps_all", m->keeps_all, "paged",
                     m->is_paged, "rows", (json_int_t)m->rows);
}
