/*
 * y = x W' + b: the one place where weights meet activations. The weight may be dense or codes on any grid,
 * and may have been repacked into panels; what it is decides between three ways:
 *   integer  codes in panels times int8 activations, summed exactly
 *   panels   elements in panels times f32 activations
 *   decoded  a tile of any weight is decoded to f32 and multiplied with all rows of x
 * Results do not depend on the number of threads, nor on how many rows are computed together.
 */
#include <string.h>

#include "base/checked.h"
#include "graph/exec.h"
#include "graph/op.h"
#include "tensor/scheme.h"

enum {
    TILE = 32,       /* outputs decoded and multiplied together */
    ROW_BLOCK = 64,  /* rows of x that stay in the L2 cache while a tile is multiplied */
    MAX_PANELS = 16, /* of one piece of work */
    MAX_PARTS = 2,   /* of activations as codes */
    PART_ROWS = 64,  /* rows whose parts are multiplied before they are added up */
    PART_BYTES = MAX_PARTS * PART_ROWS * MAX_PANELS * GRAM_PANEL * (int)sizeof(float),
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
                                   int64_t rows, int64_t context)
{
    const int64_t decoded = TILE * GRAM_K_BLOCK * (int64_t)sizeof(float);
    const int64_t panels = GRAM_PANEL_SCRATCH + PART_BYTES;
    const int64_t rest = g->values[node->inputs[0]].cols * (int64_t)sizeof(float);
    (void)rows, (void)context;
    return gram_max_i64(gram_max_i64(decoded, panels), rest);
}

/* Activations as codes in two parts, with a scale and a sum for each of the smallest groups. */
int64_t gram_linear_shared_scratch(const struct gram_graph *g, const struct gram_node *node,
                                   int64_t rows, int64_t context)
{
    const int64_t cols = g->values[node->inputs[0]].cols;
    const int64_t groups = gram_ceil_div(cols, GRAM_MIN_GROUP);
    (void)context;
    return MAX_PARTS * rows *
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

static void decoded_tile(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
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

static void float_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    l->exec->kernels->float_linear(l->y, l->out, l->x, l->in, l->rows, &l->binding->float_panels,
                                   begin, end, gram_exec_scratch(l->exec, worker));
    add_bias(l, begin * GRAM_PANEL, last_output(l, end));
}

/* Rows [first, first + n) of activations. */
static struct gram_int_acts some_acts(const struct gram_int_acts *acts, int64_t first, int64_t n)
{
    struct gram_int_acts some = *acts;
    some.rows = n;
    some.codes += first * acts->stride;
    some.scales += first * acts->spans;
    some.sums += first * acts->groups;
    return some;
}

/* Panels from `begin` on. */
static struct gram_int_panels some_panels(const struct gram_int_panels *w, int64_t begin)
{
    struct gram_int_panels some = *w;
    const int64_t before = begin * w->groups * GRAM_PANEL;
    some.rows -= begin * GRAM_PANEL;
    some.codes += begin * w->panel_bytes;
    some.scales = (const char *)w->scales + before * (gram_dtype_bits(w->scale_dtype) / 8);
    some.offsets = w->offsets ? w->offsets + before : NULL;
    return some;
}

/* Every row of x is two rows of codes: multiply both, add their results. */
static void two_part_panels(const struct linear *l, int64_t begin, int64_t end, char *scratch)
{
    const struct gram_kernels *kernels = l->exec->kernels;
    const struct gram_int_panels w = some_panels(&l->binding->int_panels, begin);
    const int64_t first = begin * GRAM_PANEL, n = last_output(l, end) - first;
    const int64_t stride = (end - begin) * GRAM_PANEL;
    float *parts = (float *)(void *)(scratch + GRAM_PANEL_SCRATCH);

    for (int64_t t0 = 0; t0 < l->rows; t0 += PART_ROWS) {
        const int64_t rows = gram_min_i64(PART_ROWS, l->rows - t0);
        const struct gram_int_acts acts = some_acts(&l->exec->acts, 2 * t0, 2 * rows);
        kernels->int_linear(parts, stride, &acts, &w, 0, end - begin, scratch);
        for (int64_t t = 0; t < rows; t++)
            kernels->add(l->y + (t0 + t) * l->out + first, parts + 2 * t * stride,
                         parts + (2 * t + 1) * stride, n);
    }
}

static void int_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    char *scratch = gram_exec_scratch(l->exec, worker);

    if (l->binding->act_parts == 2)
        two_part_panels(l, begin, end, scratch);
    else
        l->exec->kernels->int_linear(l->y, l->out, &l->exec->acts, &l->binding->int_panels, begin,
                                     end, scratch);
    add_bias(l, begin * GRAM_PANEL, last_output(l, end));
}

/* What the codes of row t leave of x: the second part quantizes it again, which makes 16 bits in all. */
static void take_rest(float *rest, const struct gram_int_acts *acts, int64_t t, const float *x)
{
    const int8_t *codes = acts->codes + t * acts->stride;

    for (int64_t s = 0; s < acts->spans; s++) {
        const float scale = acts->scales[t * acts->spans + s];
        const int64_t end = gram_min_i64((s + 1) * acts->span, acts->cols);
        for (int64_t k = s * acts->span; k < end; k++)
            rest[k] = x[k] - (float)codes[k] * scale;
    }
}

static void quantize_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct linear *l = context;
    const struct gram_int_acts *acts = &l->exec->acts;
    gram_quantize_acts_fn *quantize = l->exec->kernels->quantize_acts;
    const int parts = l->binding->act_parts;
    float *rest = gram_exec_scratch(l->exec, worker);

    for (int64_t t = begin; t < end; t++) {
        const float *x = l->x + t * l->in;
        quantize(acts, t * parts, x);
        if (parts == 2) {
            take_rest(rest, acts, t * parts, x);
            quantize(acts, t * parts + 1, rest);
        }
    }
}

/*
 * The activations of the node's input as codes for weights in these groups. Linears that read the same value
 * (queries, keys and values; gate and up) follow each other and share them.
 */
static void prepare_acts(struct gram_exec *exec, const struct linear *l, int value)
{
    const struct gram_int_panels *w = &l->binding->int_panels;
    const int64_t span = l->binding->weight.act_bits == 8 ? l->in : w->group;
    const int64_t rows = l->rows * l->binding->act_parts;
    const bool is_ready = exec->acts_of == value && exec->acts.rows == rows &&
                          exec->acts.span == span && exec->acts.group == w->group;
    if (is_ready)
        return;
    char *at = exec->shared;
    exec->acts_of = value;
    exec->acts = (struct gram_int_acts){
        .rows = rows,
        .cols = l->in,
        .span = span,
        .spans = gram_ceil_div(l->in, span),
        .group = w->group,
        .groups = w->groups,
        .stride = gram_acts_stride(l->in),
        .codes = (int8_t *)at,
    };
    exec->acts.scales = (float *)(void *)(at + rows * exec->acts.stride);
    exec->acts.sums = (int32_t *)(void *)(exec->acts.scales + rows * exec->acts.spans);
    gram_pool_for(exec->pool, l->rows, 4, quantize_rows, (void *)(uintptr_t)l);
}

/* Panels per piece of work: large enough to stream, small enough to share out. */
static int64_t panels_per_chunk(const struct gram_exec *exec, int64_t panels)
{
    enum { SHARES = 4, STEP = 4 };
    const int64_t share = panels / ((int64_t)gram_pool_threads(exec->pool) * SHARES);
    return gram_min_i64(gram_max_i64(share / STEP * STEP, STEP), MAX_PANELS);
}

void gram_linear_forward(struct gram_exec *exec, const struct gram_node *node)
{
    const struct gram_binding *binding = &exec->bindings[node->params[0]];
    struct linear l = {
        .exec = exec,
        .binding = binding,
        .bias = node->params[1] == GRAM_NONE ? NULL : exec->bindings[node->params[1]].vector,
        .x = gram_exec_value(exec, node->inputs[0]),
        .y = gram_exec_value(exec, node->output),
        .rows = gram_exec_rows(exec, node->output),
        .in = exec->graph->values[node->inputs[0]].cols,
        .out = node->at.linear.out,
    };
    const int64_t panels = gram_panel_count(l.out);

    if (binding->int_panels.codes) {
        prepare_acts(exec, &l, node->inputs[0]);
        gram_pool_for(exec->pool, panels, panels_per_chunk(exec, panels), int_panels, &l);
    } else if (binding->float_panels.data) {
        gram_pool_for(exec->pool, panels, panels_per_chunk(exec, panels), float_panels, &l);
    } else {
        gram_pool_for(exec->pool, l.out, TILE, decoded_tile, &l);
    }
}
