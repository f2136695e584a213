/* The decoders of tokenizer.json, one row each, as steps through which every token flows. */
#include "tokenizer/decoder.h"

#include <string.h>

#include "base/utf8.h"

void gram_decoding_reset(struct gram_decoding *state)
{
    gram_matcher_reset(&state->matcher);
    gram_buf_reset(&state->work[0]);
    gram_buf_reset(&state->work[1]);
    *state = (struct gram_decoding){.list = state->list};
}

static enum gram_status load_text(const struct gram_source *source, const json_t *node,
                                  const char *key, const char *fallback, struct gram_decoder *step)
{
    const char *text;

    GRAM_TRY(gram_json_str(node, key, fallback, &text, source->where, source->err));
    step->content_len = strlen(text);
    step->content = gram_arena_strn(source->arena, text, step->content_len);
    return step->content ? GRAM_OK : gram_fail_memory(source->err, source->where);
}

/* What must be one character is. */
static enum gram_status check_character(const struct gram_source *source, const char *key,
                                        const struct gram_decoder *step)
{
    uint32_t c;

    if (step->content_len > 0 &&
        gram_utf8_next(step->content, step->content_len, &c) == step->content_len)
        return GRAM_OK;
    return gram_fail(source->err, GRAM_EFORMAT, "%s: decoder: %s is '%s', must be one character",
                     source->where, key, step->content);
}

static enum gram_status load_replace(const struct gram_source *source, const json_t *node,
                                     struct gram_decoder *step)
{
    uint32_t c;

    GRAM_TRY(gram_pattern_load(&step->pattern, source, json_object_get(node, "pattern")));
    const struct gram_pattern *p = &step->pattern;
    if (step->is_fused &&
        !(p->literal && gram_utf8_next(p->literal, p->literal_len, &c) == p->literal_len))
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: decoder: a Replace behind a Fuse must replace one character",
                         source->where);
    return load_text(source, node, "content", "", step);
}

static enum gram_status load_strip(const struct gram_source *source, const json_t *node,
                                   struct gram_decoder *step)
{
    int64_t left, right;

    GRAM_TRY(load_text(source, node, "content", " ", step));
    GRAM_TRY(check_character(source, "content", step));
    GRAM_TRY(gram_json_int(node, "start", 0, INT32_MAX, 0, &left, source->where, source->err));
    GRAM_TRY(gram_json_int(node, "stop", 0, INT32_MAX, 0, &right, source->where, source->err));
    if (step->is_fused && right > 0)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: decoder: a Strip at the end behind a Fuse is not supported",
                         source->where);
    step->left = (size_t)left;
    step->right = (size_t)right;
    return GRAM_OK;
}

static enum gram_status load_metaspace(const struct gram_source *source, const json_t *node,
                                       struct gram_decoder *step)
{
    const char *scheme;
    bool add;

    if (step->is_fused)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: decoder: a Metaspace behind a Fuse is not supported", source->where);
    GRAM_TRY(load_text(source, node, "replacement", "\xe2\x96\x81", step));
    GRAM_TRY(check_character(source, "replacement", step));
    GRAM_TRY(gram_json_bool(node, "add_prefix_space", true, &add, source->where, source->err));
    GRAM_TRY(gram_json_str(node, "prepend_scheme", add ? "always" : "never", &scheme, source->where,
                           source->err));
    step->keeps_prefix = strcmp(scheme, "never") == 0;
    return GRAM_OK;
}

static const struct kind {
    const char *name;
    gram_decode_fn *apply;
    enum gram_status (*load)(const struct gram_source *source, const json_t *node,
                             struct gram_decoder *step);
    bool fuses;
    enum { NO_BYTES, PER_BYTE, MAXIMAL } bytes; /* does it make bytes; U+FFFD for what if broken */
} kinds[] = {
    {"ByteLevel", gram_decode_bytelevel, NULL, true, MAXIMAL},
    {"ByteFallback", gram_decode_byte_fallback, NULL, false, PER_BYTE},
    {"Fuse", gram_decode_nothing, NULL, true, NO_BYTES},
    {"Metaspace", gram_decode_metaspace, load_metaspace, false, NO_BYTES},
    {"Replace", gram_decode_replace, load_replace, false, NO_BYTES},
    {"Strip", gram_decode_strip, load_strip, false, NO_BYTES},
    {NULL, NULL, NULL, false, NO_BYTES},
};

struct loading {
    const struct gram_source *source;
    struct gram_decoders *list;
    bool is_fused;
};

static enum gram_status add_one(void *context, const char *type, const json_t *node)
{
    struct loading *loading = context;
    const struct gram_source *source = loading->source;
    struct gram_decoders *list = loading->list;
    const struct kind *kind = kinds;

    while (kind->name && strcmp(kind->name, type) != 0)
        kind++;
    if (!kind->name)
        return gram_stage_unknown(source, "decoder", type, kinds, sizeof *kinds);
    if (kind->bytes != NO_BYTES && list->bytes_end > 0)
        return gram_fail(source->err, GRAM_EUNSUPPORTED, "%s: decoder: two steps that make bytes",
                         source->where);
    struct gram_decoder *grown = gram_arena_take(source->arena, list->n + 1, sizeof *grown);
    if (!grown)
        return gram_fail_memory(source->err, source->where);
    if (list->n > 0)
        memcpy(grown, list->at, list->n * sizeof *grown);
    list->at = grown;
    struct gram_decoder *step = &grown[list->n++];
    step->apply = kind->apply;
    step->is_fused = loading->is_fused;
    loading->is_fused = loading->is_fused || kind->fuses;
    if (kind->bytes != NO_BYTES) {
        list->bytes_end = list->n;
        list->maximal = kind->bytes == MAXIMAL;
    }
    return kind->load ? kind->load(source, node, step) : GRAM_OK;
}

enum gram_status gram_decoders_load(struct gram_decoders *list, const struct gram_source *source,
                                    const json_t *node)
{
    struct loading loading = {source, list, false};

    list->joins = node && !json_is_null(node);
    return gram_stage_walk(source, "decoder", "decoders", node, add_one, &loading);
}

/* Text through the steps from `first` on. */
static enum gram_status run_steps(struct gram_decoding *state, size_t first, const char *text,
                                  size_t len, struct gram_buf *out, struct gram_error *err)
{
    const struct gram_decoders *list = state->list;

    state->matcher.err = err;
    for (size_t i = first; i < list->n; i++) {
        struct gram_buf *buf = &state->work[i % 2];

        buf->len = 0;
        list->at[i].apply(&list->at[i], state, text, len, buf);
        if (state->matcher.status != GRAM_OK)
            return state->matcher.status;
        if (buf->failed)
            return gram_fail_memory(err, "a text");
        text = buf->at ? buf->at : "";
        len = buf->len;
    }
    gram_buf_add(out, text, len);
    return out->failed ? gram_fail_memory(err, "a text") : GRAM_OK;
}

enum gram_status gram_decoding_push(struct gram_decoding *state, const char *token, size_t len,
                                    struct gram_buf *out, struct gram_error *err)
{
    if (!state->list->joins && state->any)
        gram_buf_add(out, " ", 1);
    enum gram_status status = run_steps(state, 0, token, len, out, err);
    state->any = true;
    return status;
}

enum gram_status gram_decoding_finish(struct gram_decoding *state, struct gram_buf *out,
                                      struct gram_error *err)
{
    struct gram_buf left = {0};

    gram_decode_held(state, &left);
    enum gram_status status =
        left.failed    ? gram_fail_memory(err, "a text")
        : left.len > 0 ? run_steps(state, state->list->bytes_end, left.at, left.len, out, err)
                       : GRAM_OK;
    gram_buf_reset(&left);
    return status;
}
