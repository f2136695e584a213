/* The normalizers of tokenizer.json, one row each, as the Rust library `tokenizers` has them. */
#include "tokenizer/normalizer.h"

#include <string.h>

#include "base/utf8.h"
#include "tokenizer/unicode.h"

static void apply_form(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    if (!gram_normal_form(job->out, job->text, job->len, (enum gram_normal_form)n->form))
        job->out->failed = true;
}

static void apply_prepend(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    if (job->len > 0)
        gram_buf_add(job->out, n->content, n->content_len);
    gram_buf_add(job->out, job->text, job->len);
}

static void apply_replace(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    (void)gram_pattern_replace(&n->pattern, job->matcher, job->text, job->len, n->content,
                               n->content_len, job->out); /* the matcher keeps the status */
}

static void apply_lowercase(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    (void)n;
    for (size_t i = 0; i < job->len;) {
        uint32_t c, lower[2];
        char bytes[4];

        i += gram_utf8_next(job->text + i, job->len - i, &c);
        const size_t count = gram_to_lower(lower, c);
        for (size_t k = 0; k < count; k++)
            gram_buf_add(job->out, bytes, gram_utf8_put(bytes, lower[k]));
    }
}

static void apply_strip_accents(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    (void)n;
    for (size_t i = 0, step; i < job->len; i += step) {
        uint32_t c;
        step = gram_utf8_next(job->text + i, job->len - i, &c);
        if (!gram_is_mark(c))
            gram_buf_add(job->out, job->text + i, step);
    }
}

static void apply_strip(const struct gram_normalizer *n, const struct gram_normalize *job)
{
    size_t begin = 0, end = 0;
    bool seen = false;

    for (size_t i = 0, step; i < job->len; i += step) {
        uint32_t c;
        step = gram_utf8_next(job->text + i, job->len - i, &c);
        if (gram_is_space(c))
            continue;
        begin = seen ? begin : i;
        end = i + step;
        seen = true;
    }
    begin = !n->left ? 0 : seen ? begin : job->len;
    end = n->right ? end : job->len;
    if (begin < end)
        gram_buf_add(job->out, job->text + begin, end - begin);
}

static enum gram_status load_prepend(const struct gram_source *source, const json_t *node,
                                     struct gram_normalizer *n)
{
    const char *text;

    GRAM_TRY(gram_json_str(node, "prepend", "", &text, source->where, source->err));
    n->content_len = strlen(text);
    n->content = gram_arena_strn(source->arena, text, n->content_len);
    return n->content ? GRAM_OK : gram_fail_memory(source->err, source->where);
}

static enum gram_status load_replace(const struct gram_source *source, const json_t *node,
                                     struct gram_normalizer *n)
{
    const char *text;

    GRAM_TRY(gram_pattern_load(&n->pattern, source, json_object_get(node, "pattern")));
    GRAM_TRY(gram_json_str(node, "content", "", &text, source->where, source->err));
    n->content_len = strlen(text);
    n->content = gram_arena_strn(source->arena, text, n->content_len);
    return n->content ? GRAM_OK : gram_fail_memory(source->err, source->where);
}

static enum gram_status load_strip(const struct gram_source *source, const json_t *node,
                                   struct gram_normalizer *n)
{
    GRAM_TRY(gram_json_bool(node, "strip_left", true, &n->left, source->where, source->err));
    return gram_json_bool(node, "strip_right", true, &n->right, source->where, source->err);
}

static const struct kind {
    const char *name;
    gram_normalize_fn *apply;
    enum gram_status (*load)(const struct gram_source *source, const json_t *node,
                             struct gram_normalizer *n);
    int form;
} kinds[] = {
    {"NFC", apply_form, NULL, GRAM_NFC},
    {"NFD", apply_form, NULL, GRAM_NFD},
    {"NFKC", apply_form, NULL, GRAM_NFKC},
    {"NFKD", apply_form, NULL, GRAM_NFKD},
    {"Lowercase", apply_lowercase, NULL, 0},
    {"Prepend", apply_prepend, load_prepend, 0},
    {"Replace", apply_replace, load_replace, 0},
    {"Strip", apply_strip, load_strip, 0},
    {"StripAccents", apply_strip_accents, NULL, 0},
    {NULL, NULL, NULL, 0},
};

enum gram_status gram_normalizers_add(struct gram_normalizers *list,
                                      const struct gram_source *source,
                                      const struct gram_normalizer *normalizer)
{
    struct gram_normalizer *grown = gram_arena_take(source->arena, list->n + 1, sizeof *list->at);

    if (!grown)
        return gram_fail_memory(source->err, source->where);
    if (list->n > 0)
        memcpy(grown, list->at, list->n * sizeof *grown);
    grown[list->n] = *normalizer;
    list->at = grown;
    list->n++;
    return GRAM_OK;
}

struct loading {
    const struct gram_source *source;
    struct gram_normalizers *list;
};

static enum gram_status add_one(void *context, const char *type, const json_t *node)
{
    const struct loading *loading = context;
    const struct kind *kind = kinds;

    while (kind->name && strcmp(kind->name, type) != 0)
        kind++;
    if (!kind->name)
        return gram_stage_unknown(loading->source, "normalizer", type, kinds, sizeof *kinds);
    struct gram_normalizer normalizer = {.apply = kind->apply, .form = kind->form};
    if (kind->load)
        GRAM_TRY(kind->load(loading->source, node, &normalizer));
    return gram_normalizers_add(loading->list, loading->source, &normalizer);
}

enum gram_status gram_normalizers_load(struct gram_normalizers *list,
                                       const struct gram_source *source, const json_t *node)
{
    struct loading loading = {source, list};

    return gram_stage_walk(source, "normalizer", "normalizers", node, add_one, &loading);
}

enum gram_status gram_normalizers_apply(const struct gram_normalizers *list,
                                        struct gram_matcher *matcher, const char *text, size_t len,
                                        bool is_first, struct gram_buf work[2], const char **out,
                                        size_t *out_len)
{
    for (size_t i = 0; i < list->n; i++) {
        struct gram_buf *buf = &work[i % 2];
        const struct gram_normalize job = {text, len, is_first, buf, matcher};

        buf->len = 0;
        list->at[i].apply(&list->at[i], &job);
        if (matcher->status != GRAM_OK)
            return matcher->status;
        if (buf->failed)
            return gram_fail_memory(matcher->err, "a text");
        text = buf->at ? buf->at : "";
        len = buf->len;
    }
    *out = text;
    *out_len = len;
    return GRAM_OK;
}
