/* What schemes mean, and how they are written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tensor/dtype.h"
#include "tensor/scheme_inside.h"

struct gram_grid gram_scheme_grid(const struct gram_scheme *s, enum gram_dtype scale_dtype)
{
    const bool has_choice = strcmp(gram_scheme_container(s), "bitsandbytes") != 0;
    return (struct gram_grid){.bits = s->bits,
                              .asymmetric = s->asymmetric,
                              .scale_dtype = has_choice ? scale_dtype : GRAM_F32,
                              .codebook = s->codebook,
                              .is_ternary = s->is_ternary};
}

const char *gram_scheme_container(const struct gram_scheme *s)
{
    if (s->kind != GRAM_SCHEME_CODES)
        return NULL;
    return s->codebook && s->codebook != &gram_e4m3 ? "bitsandbytes" : "compressed-tensors";
}

int64_t gram_scheme_span(const struct gram_scheme *scheme, int64_t cols)
{
    return scheme->granularity == GRAM_PER_GROUP ? scheme->group : cols;
}

static bool is_of_family(const struct gram_scheme_family *family, const struct gram_scheme *s)
{
    return s->codebook ? s->codebook == family->scheme.codebook
                       : s->is_ternary && family->scheme.is_ternary;
}

/* The name of the family, and what differs from it. False if the scheme is of none. */
static bool name_by_family(char out[GRAM_SCHEME_NAME], const struct gram_scheme *s)
{
    const struct gram_scheme_family *family = gram_scheme_families();
    char spread[24] = "";

    while (family->name && !is_of_family(family, s))
        family++;
    if (!family->name)
        return false;
    const struct gram_scheme *usual = &family->scheme;
    if (s->granularity == GRAM_PER_GROUP && s->group != usual->group)
        snprintf(spread, sizeof spread, "-g%" PRId64, s->group);
    else if (s->granularity != usual->granularity)
        snprintf(spread, sizeof spread, "%s",
                 s->granularity == GRAM_PER_TENSOR ? "-tensor" : "-channel");
    snprintf(out, GRAM_SCHEME_NAME, "%s%s%s", family->name, spread, s->is_nested ? "-dq" : "");
    return true;
}

void gram_scheme_name(char out[GRAM_SCHEME_NAME], const struct gram_scheme *s)
{
    char spread[24] = "";

    if (s->kind != GRAM_SCHEME_CODES) {
        snprintf(out, GRAM_SCHEME_NAME, "%s",
                 s->kind == GRAM_SCHEME_KEEP ? "keep" : gram_dtype_name(s->dtype));
        return;
    }
    if (name_by_family(out, s))
        return;
    if (s->granularity == GRAM_PER_GROUP)
        snprintf(spread, sizeof spread, "-g%" PRId64, s->group);
    else if (s->granularity == GRAM_PER_TENSOR)
        snprintf(spread, sizeof spread, "-tensor");
    else if (s->act_bits == 0)
        snprintf(spread, sizeof spread, "-channel");
    snprintf(out, GRAM_SCHEME_NAME, "w%da%d%s%s%s", s->bits, s->act_bits ? s->act_bits : 16, spread,
             s->asymmetric ? "-asym" : "", s->is_static ? "-static" : "");
}

/* What a weight's codes stand for; NULL: integers. */
static const struct gram_codebook *codebook_of(const struct gram_weight *w)
{
    if (w->act_outlier > 0.0f)
        return &gram_int8v;
    for (const struct gram_scheme_family *f = gram_scheme_families(); w->table && f->name; f++) {
        if (f->scheme.codebook && f->scheme.codebook->values == w->table)
            return f->scheme.codebook;
    }
    return NULL;
}

struct gram_scheme gram_weight_scheme_of(const struct gram_weight *w)
{
    const bool one_scale = w->scale_stride == 0;
    const bool by_block = w->table && w->bits == 4; /* also where one block is one row */

    return (struct gram_scheme){
        .kind = w->bits ? GRAM_SCHEME_CODES : GRAM_SCHEME_CAST,
        .dtype = w->dtype,
        .bits = w->bits,
        .asymmetric = w->zeros != NULL,
        .granularity = one_scale             ? GRAM_PER_TENSOR
                       : w->group >= w->cols && !by_block ? GRAM_PER_CHANNEL
                                                          : GRAM_PER_GROUP,
        .group = w->group,
        .act_bits = w->act_bits,
        .codebook = codebook_of(w),
        .is_nested = w->is_nested,
        .is_static = w->act_scale > 0.0f,
    };
}

void gram_weight_scheme(char out[GRAM_SCHEME_NAME], const struct gram_weight *w)
{
    const struct gram_scheme scheme = gram_weight_scheme_of(w);
    gram_scheme_name(out, &scheme);
}
