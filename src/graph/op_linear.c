/*
 * y = x W' + b: the one place where weights meet activations. The weight may be dense or codes on any grid,
 * and may have been repacked into panels; what it is decides between three ways:
 *   integer  codes in panels times int8 activations, summed exactly
 *   panels   elements in panels times f32 activations
 *   decoded  a tile of any weight is decoded to f32 and multiplied with all rows of x
 * In training, where weights move or rows are many, blocks of any weight become panels as they are needed
 * (graph/matmul.h).
 * Results do not depend on the number of threads, nor on how many rows are computed together.
 */
#include <string.h>

#include "base/checked.h"
#include "graph/acts.h"
#include "graph/exec.h"
#include "graph/op.h"
#include "tensor/scheme.h"

enum {
    TILE = 32,       /* outputs decoded and multiplied together */
    ROW_BLOCK = 64,  /* rows of x that stay in the L2 cache while a tile is multiplied */
    MAX_PANELS = 16, /* of one piece of work */
    MAX_PARTS = 2,   /* of activations as codes */
};

struct linear {
    const struct gram_exec *exec;
    const struct gram_binding *binding;
    const float *bias; /* or NULL */
    const float *x;
    float *y;
    int64_t rows, in, out;
};

void gram_linear_shape(const struct gram_graph *g, const struct gram_node *node,
                       struct gram_value *out)
{
    (void)g;
    out->cols = node->at.linear.out;
}

void gram_linear_cost(const struct gram_graph *g, const struct gram_node *node, int64_t rows,
                      int64_t past, struct gram_cost *cost)
{
    const double weights =
        (double)g->values[node->inputs[0]].cols * (double)node->at.linear.out;
    (void)past;
    cost->multiply_adds += weights * (double)rows;
    cost->weight_bytes += weights * sizeof(float);
}

int64_t gram_linear_worker_scratch(const struct gram_graph *g, const struct gram_node *node,
                                   int64_t rows)
{
    const int64_t decoded = TILE * GRAM_K_BLOCK * (int64_t)sizeof(float);
    const int64_t quantized = 5 * gram_acts_stride(g->values[node->inputs[0]].cols);
    (void)rows;
    return gram_max_i64(gram_max_i64(decoded, GRAM_PANEL_SCRATCH), quantized);
}

/* Activations as codes in two parts, with a scale and a sum for each of the smallest groups. */
int64_t gram_linear_shared_scratch(const struct gram_graph *g, const struct gram_node *node,
                                   int64_t rows)
{
    const int64_t cols = g->values[node->inputs[0]].cols;
    const int64_t groups = gram_ceil_div(cols, GRAM_MIN_GROUP);
    return (MAX_PARTS * rows + GRAM_ACTS_TALLEST) *
           (gram_acts_stride(cols) + groups * (int64_t)(sizeof(float) + sizeof(int32_t)));
}

static void add_bias(const struct linear *l, int64_t begin, int64_t end)
{
    for (int64_t t = 0; l->bias && t < l->rows; t++)
        l->exec->kernels->add(l->y + t * l->out + begin, l->y + t * l->out + begin,
                              l->bias + begin, end - begin);
}

static void multiply_tile(const struct linear *l, const float *tile, int64_t stride, int64_t begin,
                          int64_t end, int64_t k0, int64_t n)
{
    const struct gram_kernels *kernels = l->exec->kernels;
    for (int64_t t = 0; t < l->rows; t += ROW_BLOCK)
        kernels->gemm_f32(l->y + t * l->out + begin, l->out, l->x + t * l->in + k0, l->in, tile,
                          stride, gram_min_i64(ROW_BLOCK, l->rows - t), end - begin, n);
}

/* A piece of work is one tile. */
static void decoded_tile(const struct linear *l, int64_t first, int64_t end_tile, int worker)
{
    const int64_t begin = first * TILE, end = gram_min_i64(end_tile * TILE, l->out);
    const struct gram_weight *w = &l->binding->weight;
    gram_decode_fn *decode = l->exec->kernels->decode[gram_weight_storage(w)];
    float *tile = gram_exec_scratch(l->exec, worker);

    for (int64_t t = 0; t < l->rows; t++)
        memset(l->y + t * l->out + begin, 0, (size_t)(end - begin) * sizeof *l->y);
    for (int64_t k0 = 0; k0 < l->in; k0 += GRAM_K_BLOCK) {
        const int64_t n = gram_min_i64(GRAM_K_BLOCK, l->in - k0);
        for (int64_t r = begin; r < end; r++)
            decode(tile + (r - begin) * GRAM_K_BLOCK, w, r, k0, n);
        multiply_tile(l, tile, GRAM_K_BLOCK, begin, end, k0, n);
    }
    add_bias(l, begin, end);
}

/* The outputs of panels [begin, end), without the padding of the last. */
static int64_t last_output(const struct linear *l, int64_t end)
{
    return gram_min_i64(end * GRAM_PANEL, l->out);
}

static void float_panels(const struct linear *l, int64_t begin, int64_t end, int worker)
{
    l->exec->kernels->float_linear(l->y, l->out, l->x, l->in, l->rows, &l->binding->float_panels,
                                   begin, end, gram_exec_scratch(l->exec, worker));
    add_bias(l, begin * GRAM_PANEL, last_output(l, end));
}

/* Inputs that LLM.int8() keeps out of the codes. */
static void add_outliers(const struct linear *l, int64_t begin, int64_t end)
{
    const float outlier = l->binding->weight.act_outlier;

    for (int64_t t = 0; outlier > 0.0f && t < l->rows; t++)
        for (int64_t p = begin; p < end; p++)
            gram_acts_add_outliers(l->y + t * l->out + p * GRAM_PANEL, l->x + t * l->in, outlier,
                                   &l->binding->int_panels, p);
}

static void int_panels(const struct linear *l, int64_t begin, int64_t end, int worker)
{
    l->exec->kernels->int_linear(l->y, l->out, &l->exec->acts, &l->binding->int_panels, begin, end,
                                 gram_exec_scratch(l->exec, worker));
    add_outliers(l, begin, end);
    add_bias(l, begin * GRAM_PANEL, last_output(l, end));
}

/* One token by the rule that its weight brings. */
static void quantize_by_rule(const struct linear *l, int64_t t, int8_t *codes)
{
    const struct gram_weight *w = &l->binding->weight;
    const float *x = l->x + t * l->in;
    float scale = w->act_scale;

    if (w->act_outlier > 0.0f)
        scale = gram_acts_llm_int8(codes, x, l->in, w->act_outlier);
    else
        gram_acts_static(codes, x, l->in, w->act_scale);
    gram_int_acts_put(&l->exec->acts, t, codes, scale);
}

static bool has_rule(const struct gram_weight *w)
{
    return w->act_bits == 8 && (w->act_scale > 0.0f || w->act_outlier > 0.0f);
}

/* Whole blocks of rows, so that threads do not share lines. */
static void quantize_blocks(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    const struct gram_int_acts *acts = &l->exec->acts;
    const int64_t rows = acts->height / acts->parts;
    void *scratch = gram_exec_scratch(l->exec, worker);

    for (int64_t t = begin * rows; t < gram_min_i64(end * rows, l->rows); t++) {
        if (has_rule(&l->binding->weight))
            quantize_by_rule(l, t, scratch);
        else
            l->exec->kernels->quantize_acts(acts, t, l->x + t * l->in, scratch);
    }
}

/* The activations of the node's input as codes for weights in these groups. Linears of one value that are not
 * computed together, because their ways differ, still share them. */
static void prepare_acts(struct gram_exec *exec, const struct linear *l, int value)
{
    const struct gram_int_panels *w = &l->binding->int_panels;
    const int64_t span = l->binding->weight.act_bits == 8 ? l->in : w->group;
    const int parts = l->binding->act_parts;
    const bool is_ready = exec->acts_of == value && exec->acts.rows == l->rows &&
                          exec->acts.parts == parts && exec->acts.span == span &&
                          exec->acts.group == w->group &&
                          exec->acts_scale == l->binding->weight.act_scale &&
                          exec->acts_outlier == l->binding->weight.act_outlier;
    if (is_ready)
        return;
    char *at = exec->shared;
    exec->acts_of = value;
    exec->acts_scale = l->binding->weight.act_scale;
    exec->acts_outlier = l->binding->weight.act_outlier;
    exec->acts = (struct gram_int_acts){
        .rows = l->rows,
        .cols = l->in,
        .parts = parts,
        .span = span,
        .spans = gram_ceil_div(l->in, span),
        .group = w->group,
        .groups = w->groups,
        .stride = gram_acts_stride(l->in),
        .codes = (int8_t *)at,
    };
    exec->kernels->acts_layout(&exec->acts);
    const int64_t room = gram_acts_room(&exec->acts);
    exec->acts.scales = (float *)(void *)(at + room * exec->acts.stride);
    exec->acts.sums = (int32_t *)(void *)(exec->acts.scales + room * exec->acts.spans);
    gram_pool_for(exec->pool, room / exec->acts.height, 1, quantize_blocks, (void *)(uintptr_t)l);
}

/* The three ways. A unit is what a piece of work is counted in; the longest piece is what scratch holds. */
struct way {
    void (*multiply)(const struct linear *l, int64_t begin, int64_t end, int worker);
    int64_t outputs; /* of a unit */
    int64_t step, longest;
};
static const struct way by_codes = {int_panels, GRAM_PANEL, 4, MAX_PANELS},
                        by_elements = {float_panels, GRAM_PANEL, 4, MAX_PANELS},
                        by_decoding = {decoded_tile, TILE, 1, 1};

static const struct way *way_of(const struct linear *l)
{
    return l->binding->int_panels.codes    ? &by_codes
           : l->binding->float_panels.data ? &by_elements
                                           : &by_decoding;
}

/* Linears of one value that are multiplied in one loop, over the pieces of all. */
struct family {
    const struct way *way;
    struct linear members[GRAM_MAX_RUN];
    int n;
    int64_t step; /* units of a piece */
};

static int64_t units(const struct family *family, const struct linear *l)
{
    return gram_ceil_div(l->out, family->way->outputs);
}

static void multiply_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    const struct family *family = context;

    for (int64_t piece = begin; piece < end; piece++) {
        const struct linear *l = family->members;
        int64_t at = piece * family->step;
        for (int64_t n; at >= (n = gram_ceil_div(units(family, l), family->step) * family->step); l++)
            at -= n;
        family->way->multiply(l, at, gram_min_i64(at + family->step, units(family, l)), worker);
    }
}

/* Pieces large enough to stream, small enough that threads end together. */
static void multiply_family(struct gram_exec *exec, struct family *family)
{
    enum { SHARES = 8 };
    const struct way *way = family->way;
    int64_t total = 0, pieces = 0;

    for (int i = 0; i < family->n; i++)
        total += units(family, &family->members[i]);
    const int64_t share = total / ((int64_t)gram_pool_threads(exec->pool) * SHARES);
    family->step = gram_min_i64(gram_max_i64(share / way->step * way->step, way->step), way->longest);
    for (int i = 0; i < family->n; i++)
        pieces += gram_ceil_div(units(family, &family->members[i]), family->step);
    gram_pool_for(exec->pool, pieces, 1, multiply_pieces, family);
}

/* Do both linears of one value go the same way, with the same codes for activations? */
static bool is_related(const struct linear *a, const struct linear *b)
{
    const struct gram_binding *x = a->binding, *y = b->binding;
    return way_of(a) == way_of(b) && x->acts == y->acts &&
           (way_of(a) != &by_codes ||
            (x->act_parts == y->act_parts && x->weight.act_bits == y->weight.act_bits &&
             x->weight.act_scale == y->weight.act_scale &&
             x->weight.act_outlier == y->weight.act_outlier &&
             x->int_panels.group == y->int_panels.group));
}

static struct linear linear_of(const struct gram_exec *exec, const struct gram_node *node)
{
    return (struct linear){
        .exec = exec,
        .binding = &exec->bindings[node->params[0]],
        .bias = node->params[1] == GRAM_NONE ? NULL : exec->bindings[node->params[1]].vector,
        .x = gram_exec_value(exec, node->inputs[0]),
        .y = gram_exec_value(exec, node->output),
        .rows = gram_exec_rows(exec, node->output),
        .in = exec->graph->values[node->inputs[0]].cols,
        .out = node->at.linear.out,
    };
}

/* In training: all members read the rounded value. */
static void round_input(struct gram_exec *exec, struct family *family, int value)
{
    struct gram_fake_acts *acts = family->members[0].binding->acts;

    if (!acts)
        return;
    const struct gram_fake_call call = gram_exec_fake_call(exec, acts, value);
    gram_fake_acts_round(&call, exec->is_watching);
    for (int i = 0; i < family->n; i++)
        family->members[i].x = call.y;
}

static bool has_panels(const struct linear *l)
{
    return l->binding->int_panels.codes || l->binding->float_panels.data;
}

static void multiply_blocks(const struct linear *l)
{
    const struct gram_matrix w = gram_matrix_of_weight(&l->binding->weight);

    gram_matmul_run(&l->exec->matmul, l->y, gram_matrix_of(l->x, l->rows, l->in),
                    gram_matrix_transposed(w), false);
    add_bias(l, 0, l->out);
}

void gram_linear_forward(struct gram_exec *exec, const struct gram_node *node)
{
    for (int i = 0; i < node->run;) {
        struct family family = {.n = 0};
        for (bool joins = true; joins && i < node->run;) {
            const struct linear l = linear_of(exec, node + i);
            joins = family.n == 0 || is_related(&family.members[0], &l);
            if (joins) {
                family.members[family.n++] = l;
                i++;
            }
        }
        family.way = way_of(&family.members[0]);
        round_input(exec, &family, node->inputs[0]);
        if (exec->matmul.panels && !has_panels(&family.members[0])) {
            for (int k = 0; k < family.n; k++)
                multiply_blocks(&family.members[k]);
            continue;
        }
        if (family.way == &by_codes)
            prepare_acts(exec, &family.members[0], node->inputs[0]);
        multiply_family(exec, &family);
    }
}
