#include "train/batches.h"

#include <string.h>

bool gram_batches_open(struct gram_batches *b, const struct gram_dataset *data, int64_t rows,
                       int64_t context, uint64_t seed, bool is_shuffled)
{
    *b = (struct gram_batches){.data = data,
                               .rows = rows,
                               .context = context,
                               .seed = seed,
                               .is_shuffled = is_shuffled,
                               .ordered = -1};
    b->order = gram_arena_take(&b->arena, data->n, sizeof *b->order);
    b->n_ordered = (int64_t)data->n;
    return b->order != NULL;
}

void gram_batches_close(struct gram_batches *b)
{
    gram_arena_reset(&b->arena);
    *b = (struct gram_batches){0};
}

bool gram_minibatch_open(struct gram_minibatch *batch, const struct gram_batches *b, struct gram_arena *arena)
{
    const size_t tokens = (size_t)(b->rows * b->context);

    *batch = (struct gram_minibatch){
        .tokens = gram_arena_take(arena, tokens, sizeof *batch->tokens),
        .labels = gram_arena_take(arena, tokens, sizeof *batch->labels),
        .lengths = gram_arena_take(arena, (size_t)b->rows * GRAM_ROW_SAMPLES, sizeof *batch->lengths),
    };
    return batch->tokens && batch->labels && batch->lengths;
}

static bool is_chosen(const struct gram_batches *b, int64_t sample)
{
    return !b->chosen || b->chosen[sample] != 0.0f;
}

void gram_batches_choose(struct gram_batches *b, const float *chosen)
{
    b->chosen = chosen;
    b->ordered = -1;
    b->n_ordered = 0;
    for (int64_t i = 0; i < (int64_t)b->data->n; i++)
        b->n_ordered += is_chosen(b, i);
}

bool gram_batches_begins(const struct gram_batches *b, int64_t *epoch)
{
    const bool is_over = b->position.at == b->n_ordered;

    *epoch = b->position.epoch + is_over;
    return is_over || b->position.at == 0;
}

static void begin_epoch(struct gram_batches *b)
{
    const int64_t n = (int64_t)b->data->n;
    int64_t taken = 0;

    if (b->position.at == b->n_ordered)
        b->position = (struct gram_position){b->position.epoch + 1, 0};
    if (b->ordered == b->position.epoch)
        return;
    for (int64_t i = 0; i < n; i++)
        b->order[i] = i;
    if (b->is_shuffled)
        gram_shuffled(b->order, n, b->seed, b->position.epoch);
    for (int64_t i = 0; i < n; i++)
        if (is_chosen(b, b->order[i]))
            b->order[taken++] = b->order[i];
    b->ordered = b->position.epoch;
}

/* Samples that fit into a row, from the position on. */
static int64_t fill_row(const struct gram_batches *b)
{
    int64_t room = b->context, n = 0;

    while (n < GRAM_ROW_SAMPLES && b->position.at + n < b->n_ordered) {
        room -= b->data->samples[b->order[b->position.at + n]].n;
        if (room < 0)
            break;
        n++;
    }
    return n;
}

static void add_sample(struct gram_minibatch *batch, const struct gram_sample *s)
{
    memcpy(batch->tokens + batch->tokens_n, s->tokens, (size_t)s->n * sizeof *s->tokens);
    memcpy(batch->labels + batch->tokens_n, s->labels, (size_t)s->n * sizeof *s->labels);
    batch->lengths[batch->n++] = s->n;
    batch->tokens_n += s->n;
    batch->counted += s->counted;
}

void gram_batches_next(struct gram_batches *b, struct gram_minibatch *batch)
{
    batch->n = batch->tokens_n = batch->counted = 0;
    begin_epoch(b);
    for (int64_t r = 0; r < b->rows && b->position.at < b->n_ordered; r++)
        for (int64_t left = fill_row(b); left > 0; left--)
            add_sample(batch, &b->data->samples[b->order[b->position.at++]]);
}

int64_t gram_batches_count(struct gram_batches *b, int64_t epochs)
{
    int64_t n = 0;

    for (b->position = (struct gram_position){0, 0};
         b->position.epoch < epochs - 1 || b->position.at < b->n_ordered; n++) {
        begin_epoch(b);
        for (int64_t r = 0; r < b->rows; r++)
            b->position.at += fill_row(b);
    }
    return n;
}
