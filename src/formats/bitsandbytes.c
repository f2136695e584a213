/* Reading: which tensors a linear has tells how it is stored; each is checked against its shape. */
#include "formats/bitsandbytes.h"

#include <math.h>
#include <string.h>

#include "formats/bitsandbytes_4bit.h"

enum gram_status gram_bnb_open(const json_t *config, const char *where, struct gram_arena *arena,
                               void **state, struct gram_error *err)
{
    bool is_4bit;
    double threshold;

    *state = NULL;
    struct gram_bnb *bnb = gram_arena_take(arena, 1, sizeof *bnb);
    if (!bnb || !(bnb->where = gram_arena_str(arena, where)))
        return gram_fail_memory(err, where);
    GRAM_TRY(gram_json_bool(config, "load_in_4bit", false, &is_4bit, where, err));
    GRAM_TRY(gram_json_bool(config, "load_in_8bit", false, &bnb->is_8bit, where, err));
    if (is_4bit == bnb->is_8bit)
        return gram_fail(err, GRAM_EFORMAT, "%s: one of load_in_4bit and load_in_8bit must be true",
                         where);
    GRAM_TRY(gram_json_real(config, "llm_int8_threshold", 0, 1e6, 6.0, &threshold, where, err));
    bnb->threshold = (float)threshold;
    *state = bnb;
    return GRAM_OK;
}

static enum gram_status bind_8bit(const struct gram_bnb *bnb, const struct gram_module *m,
                                  struct gram_weight *w)
{
    const struct gram_tensor *codes, *rows, *format = gram_module_part(m, "weight_format");

    GRAM_TRY(gram_module_get(m, "weight", GRAM_I8, m->rows * m->cols, &codes));
    GRAM_TRY(gram_module_get(m, "SCB", GRAM_F32, m->rows, &rows));
    if (format &&
        (format->dtype != GRAM_U8 || format->count != 1 || *(const uint8_t *)format->data))
        return gram_fail(m->err, GRAM_EUNSUPPORTED, "%s: %s: only rows in their order (0) are read",
                         gram_module_path(m, format), format->name);
    float *scales = gram_arena_take(m->arena, (size_t)m->rows, sizeof *scales);
    const void *data = gram_module_aligned(m, codes, 4);
    if (!scales || !data)
        return gram_fail_memory(m->err, codes->name);
    memcpy(scales, rows->data, (size_t)m->rows * sizeof *scales);
    for (int64_t r = 0; r < m->rows; r++)
        scales[r] /= 127.0f;
    *w = (struct gram_weight){
        .rows = m->rows,
        .cols = m->cols,
        .bits = 8,
        .is_signed = true,
        .data = data,
        .row_bytes = m->cols,
        .group = m->cols,
        .scales = scales,
        .scale_stride = 1,
        .scale_dtype = GRAM_F32,
        .act_bits = 8,
        .act_outlier = bnb->threshold > 0.0f ? bnb->threshold : INFINITY,
    };
    return GRAM_OK;
}

enum gram_status gram_bnb_bind(const void *state, const struct gram_store *store,
                               const char *module, int64_t rows, int64_t cols,
                               struct gram_arena *arena, struct gram_weight *w, bool *found,
                               struct gram_error *err)
{
    const struct gram_bnb *bnb = state;
    const struct gram_module m = {store, module, bnb->where, rows, cols, arena, err};

    *found = bnb->is_8bit ? gram_module_part(&m, "SCB") != NULL
                          : gram_module_part(&m, "weight.absmax") && gram_module_part(&m, "weight");
    if (!*found)
        return GRAM_OK;
    return bnb->is_8bit ? bind_8bit(bnb, &m, w) : gram_bnb_bind_4bit(&m, w);
}
