/* The pre-tokenizers of tokenizer.json, one row each, as the Rust library `tokenizers` has them. */
#include "tokenizer/pretokenizer.h"

#include <string.h>

#include "base/utf8.h"
#include "tokenizer/bytelevel.h"
#include "tokenizer/unicode.h"

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static void prefix_space(const struct gram_pretokenizer *p, const char *text, size_t len,
                         bool is_first, struct gram_buf *out)
{
    (void)p;
    (void)is_first;
    if (text[0] != ' ')
        gram_buf_add(out, " ", 1);
    gram_buf_add(out, text, len);
}

static void to_byte_characters(const struct gram_pretokenizer *p, const char *text, size_t len,
                               bool is_first, struct gram_buf *out)
{
    (void)p;
    (void)is_first;
    gram_bytelevel_encode(out, text, len);
}

static enum gram_status load_bytelevel(const struct gram_source *source, const json_t *node,
                                       struct gram_pretokenizer *p)
{
    bool add_prefix, use_regex, trim;

    GRAM_TRY(
        gram_json_bool(node, "add_prefix_space", true, &add_prefix, source->where, source->err));
    GRAM_TRY(gram_json_bool(node, "use_regex", true, &use_regex, source->where, source->err));
    GRAM_TRY(gram_json_bool(node, "trim_offsets", true, &trim, source->where, source->err));
    p->before = add_prefix ? prefix_space : NULL;
    p->splits = use_regex;
    p->behavior = GRAM_SPLIT_ISOLATED;
    p->after = to_byte_characters;
    return use_regex
               ? gram_regex_open(&p->pattern.regex, source, gpt2_pattern, sizeof gpt2_pattern - 1)
               : GRAM_OK;
}

static enum gram_status load_behavior(const struct gram_source *source, const json_t *node,
                                      const char *fallback, struct gram_pretokenizer *p)
{
    static const char *const names[] = {
        [GRAM_SPLIT_REMOVED] = "Removed",
        [GRAM_SPLIT_ISOLATED] = "Isolated",
        [GRAM_SPLIT_WITH_PREVIOUS] = "MergedWithPrevious",
        [GRAM_SPLIT_WITH_NEXT] = "MergedWithNext",
        [GRAM_SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *name;

    GRAM_TRY(gram_json_str(node, "behavior", fallback, &name, source->where, source->err));
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            p->splits = true;
            p->behavior = (enum gram_split)i;
            return GRAM_OK;
        }
    }
    return gram_fail(source->err, GRAM_EFORMAT,
                     "%s: pre_tokenizer: behavior is '%s', must be Removed, Isolated, "
                     "MergedWithPrevious, MergedWithNext or Contiguous",
                     source->where, name ? name : "missing");
}

static enum gram_status load_split(const struct gram_source *source, const json_t *node,
                                   struct gram_pretokenizer *p)
{
    GRAM_TRY(gram_pattern_load(&p->pattern, source, json_object_get(node, "pattern")));
    GRAM_TRY(gram_json_bool(node, "invert", false, &p->invert, source->where, source->err));
    return load_behavior(source, node, NULL, p);
}

static void mark_spaces(const struct gram_pretokenizer *p, const char *text, size_t len,
                        bool is_first, struct gram_buf *out)
{
    const bool wanted =
        p->prefix == GRAM_PREFIX_ALWAYS || (p->prefix == GRAM_PREFIX_FIRST && is_first);
    const bool has =
        text[0] == ' ' || (len >= p->mark_len && memcmp(text, p->mark, p->mark_len) == 0);

    if (wanted && !has)
        gram_buf_add(out, p->mark, p->mark_len);
    for (size_t i = 0; i < len;) {
        const char *space = memchr(text + i, ' ', len - i);
        const size_t end = space ? (size_t)(space - text) : len;
        gram_buf_add(out, text + i, end - i);
        if (space)
            gram_buf_add(out, p->mark, p->mark_len);
        i = end + (space != NULL);
    }
}

static enum gram_status load_prefix_scheme(const struct gram_source *source, const json_t *node,
                                           struct gram_pretokenizer *p)
{
    static const char *const names[] = {
        [GRAM_PREFIX_NEVER] = "never",
        [GRAM_PREFIX_FIRST] = "first",
        [GRAM_PREFIX_ALWAYS] = "always",
    };
    const char *name;
    bool add; /* the older way to say it */

    GRAM_TRY(gram_json_bool(node, "add_prefix_space", true, &add, source->where, source->err));
    GRAM_TRY(gram_json_str(node, "prepend_scheme", add ? "always" : "never", &name, source->where,
                           source->err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            p->prefix = (int)i;
            return GRAM_OK;
        }
    }
    return gram_fail(source->err, GRAM_EFORMAT,
                     "%s: Metaspace: prepend_scheme is '%s', must be always, first or never",
                     source->where, name);
}

static enum gram_status load_metaspace(const struct gram_source *source, const json_t *node,
                                       struct gram_pretokenizer *p)
{
    const char *mark;
    uint32_t c;

    GRAM_TRY(load_prefix_scheme(source, node, p));
    GRAM_TRY(gram_json_bool(node, "split", true, &p->splits, source->where, source->err));
    GRAM_TRY(gram_json_str(node, "replacement", "\xe2\x96\x81", &mark, source->where, source->err));
    p->mark_len = gram_utf8_next(mark, strlen(mark), &c);
    if (p->mark_len == 0 || mark[p->mark_len] != '\0')
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: Metaspace: replacement is '%s', must be one character", source->where,
                         mark);
    memcpy(p->mark, mark, p->mark_len);
    p->before = mark_spaces;
    p->behavior = GRAM_SPLIT_WITH_NEXT;
    p->pattern.literal = gram_arena_strn(source->arena, mark, p->mark_len);
    p->pattern.literal_len = p->mark_len;
    return p->pattern.literal ? GRAM_OK : gram_fail_memory(source->err, source->where);
}

static enum gram_status load_digits(const struct gram_source *source, const json_t *node,
                                    struct gram_pretokenizer *p)
{
    bool individual;

    GRAM_TRY(
        gram_json_bool(node, "individual_digits", false, &individual, source->where, source->err));
    p->pattern.is = gram_is_numeric;
    p->splits = true;
    p->behavior = individual ? GRAM_SPLIT_ISOLATED : GRAM_SPLIT_CONTIGUOUS;
    return GRAM_OK;
}

static enum gram_status load_punctuation(const struct gram_source *source, const json_t *node,
                                         struct gram_pretokenizer *p)
{
    p->pattern.is = gram_is_punctuation;
    return load_behavior(source, node, "Isolated", p);
}

static enum gram_status load_whitespace_split(const struct gram_source *source, const json_t *node,
                                              struct gram_pretokenizer *p)
{
    (void)source;
    (void)node;
    p->pattern.is = gram_is_space;
    p->splits = true;
    p->behavior = GRAM_SPLIT_REMOVED;
    return GRAM_OK;
}

static enum gram_status load_whitespace(const struct gram_source *source, const json_t *node,
                                        struct gram_pretokenizer *p)
{
    static const char words[] = "\\w+|[^\\w\\s]+";

    (void)node;
    p->splits = p->invert = true;
    p->behavior = GRAM_SPLIT_REMOVED;
    return gram_regex_open(&p->pattern.regex, source, words, sizeof words - 1);
}

static const struct kind {
    const char *name;
    enum gram_status (*load)(const struct gram_source *source, const json_t *node,
                             struct gram_pretokenizer *p);
} kinds[] = {
    {"ByteLevel", load_bytelevel},
    {"Split", load_split},
    {"Metaspace", load_metaspace},
    {"Digits", load_digits},
    {"Punctuation", load_punctuation},
    {"Whitespace", load_whitespace},
    {"WhitespaceSplit", load_whitespace_split},
    {NULL, NULL},
};

struct loading {
    const struct gram_source *source;
    struct gram_pretokenizers *list;
};

static enum gram_status add_one(void *context, const char *type, const json_t *node)
{
    const struct loading *loading = context;
    struct gram_pretokenizers *list = loading->list;
    const struct kind *kind = kinds;

    while (kind->name && strcmp(kind->name, type) != 0)
        kind++;
    if (!kind->name)
        return gram_stage_unknown(loading->source, "pre_tokenizer", type, kinds, sizeof *kinds);
    struct gram_pretokenizer *grown =
        gram_arena_take(loading->source->arena, list->n + 1, sizeof *grown);
    if (!grown)
        return gram_fail_memory(loading->source->err, loading->source->where);
    if (list->n > 0)
        memcpy(grown, list->at, list->n * sizeof *grown);
    list->at = grown;
    return kind->load(loading->source, node, &grown[list->n++]);
}

enum gram_status gram_pretokenizers_load(struct gram_pretokenizers *list,
                                         const struct gram_source *source, const json_t *node)
{
    struct loading loading = {source, list};

    return gram_stage_walk(source, "pre_tokenizer", "pretokenizers", node, add_one, &loading);
}

static void swap(struct gram_pieces *a, struct gram_pieces *b)
{
    const struct gram_pieces c = *a;
    *a = *b;
    *b = c;
}

/* Every piece through `rewrite`, into a new text; none becomes empty. */
static bool rewrite_all(const struct gram_pretokenizer *p, gram_rewrite_fn *rewrite,
                        struct gram_pieces *pieces, struct gram_buf *text)
{
    text->len = 0;
    for (size_t i = 0; i < pieces->n; i++) {
        struct gram_piece *piece = &pieces->at[i];
        const size_t begin = text->len;

        rewrite(p, pieces->text.at + piece->begin, piece->end - piece->begin,
                pieces->is_first && i == 0, text);
        *piece = (struct gram_piece){begin, text->len};
    }
    const struct gram_buf old = pieces->text;
    pieces->text = *text;
    *text = old;
    return !pieces->text.failed;
}

static enum gram_status split_all(const struct gram_pretokenizer *p, struct gram_matcher *matcher,
                                  struct gram_pieces *pieces, struct gram_pieces *spare)
{
    spare->n = 0;
    for (size_t i = 0; i < pieces->n; i++)
        GRAM_TRY(gram_split_piece(spare, pieces, pieces->at[i], &p->pattern, p->behavior, p->invert,
                                  matcher));
    spare->is_first = pieces->is_first && spare->n > 0 && spare->at[0].begin == pieces->at[0].begin;
    const struct gram_buf text = spare->text;
    spare->text = pieces->text;
    pieces->text = text;
    swap(pieces, spare);
    return GRAM_OK;
}

enum gram_status gram_pretokenizers_apply(const struct gram_pretokenizers *list,
                                          struct gram_matcher *matcher, struct gram_pieces *pieces,
                                          struct gram_pieces *spare)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct gram_pretokenizer *p = &list->at[i];

        if (p->before && !rewrite_all(p, p->before, pieces, &spare->text))
            return gram_fail_memory(matcher->err, "a text");
        if (p->splits)
            GRAM_TRY(split_all(p, matcher, pieces, spare));
        if (p->after && !rewrite_all(p, p->after, pieces, &spare->text))
            return gram_fail_memory(matcher->err, "a text");
    }
    return GRAM_OK;
}
