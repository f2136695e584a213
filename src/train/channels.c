#include "train/channels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct channel {
    double importance;
    int64_t row;
};

static int by_falling_importance(const void *a, const void *b)
{
    const struct channel *x = a, *y = b;

    if (x->importance != y->importance)
        return x->importance > y->importance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static double mean_magnitude(const float *w, int64_t n)
{
    double sum = 0.0;

    for (int64_t k = 0; k < n; k++)
        sum += fabs((double)w[k]);
    return sum / (double)n;
}

bool *gram_channels_choose(const float *w, int64_t rows, int64_t cols, double share,
                           struct gram_arena *arena)
{
    struct channel *all = gram_arena_take(arena, (size_t)rows, sizeof *all);
    bool *moves = gram_arena_take(arena, (size_t)rows, sizeof *moves);
    const int64_t chosen = (int64_t)ceil(share * (double)rows);

    if (!all || !moves)
        return NULL;
    for (int64_t r = 0; r < rows; r++)
        all[r] = (struct channel){mean_magnitude(w + r * cols, cols), r};
    qsort(all, (size_t)rows, sizeof *all, by_falling_importance);
    for (int64_t i = 0; i < chosen && i < rows; i++)
        moves[all[i].row] = true;
    return moves;
}

void gram_channels_hold(float *g, const bool *moves, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        if (!moves[r])
            memset(g + r * cols, 0, (size_t)cols * sizeof *g);
}
