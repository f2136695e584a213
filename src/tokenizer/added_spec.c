/* Added tokens: as files list them, and sorted into what is searched when. */
#include <string.h>

#include "tokenizer/parts.h"

enum gram_status gram_token_id(const struct gram_source *source, const char *token,
                               const json_t *value, int64_t *id)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) >= INT32_MAX)
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: token '%s': its id must be an integer from 0 to %d", source->where,
                         token, INT32_MAX - 1);
    *id = json_integer_value(value);
    return GRAM_OK;
}

static enum gram_status read_one(const struct gram_source *source, const json_t *node,
                                 struct gram_added_spec *spec)
{
    const char *content;
    int64_t id = 0;

    GRAM_TRY(gram_json_str(node, "content", NULL, &content, source->where, source->err));
    if (!content)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: an added token has no content",
                         source->where);
    GRAM_TRY(gram_token_id(source, content, json_object_get(node, "id"), &id));
    spec->len = strlen(content);
    spec->content = gram_arena_strn(source->arena, content, spec->len);
    spec->id = (int32_t)id;
    if (!spec->content)
        return gram_fail_memory(source->err, source->where);

    const struct {
        const char *key;
        bool *to, fallback;
    } flags[] = {
        {"special", &spec->is_special, false},      {"lstrip", &spec->lstrip, false},
        {"rstrip", &spec->rstrip, false},           {"single_word", &spec->single_word, false},
        {"normalized", &spec->is_normalized, true},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        GRAM_TRY(gram_json_bool(node, flags[i].key, flags[i].fallback, flags[i].to, source->where,
                                source->err));
    return GRAM_OK;
}

enum gram_status gram_added_specs_read(struct gram_added_spec **out, size_t *out_n,
                                       const struct gram_source *source, const json_t *list)
{
    const size_t n = json_array_size(list);

    if (list && !json_is_null(list) && !json_is_array(list))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: added_tokens must be a list",
                         source->where);
    *out = gram_arena_take(source->arena, n, sizeof **out);
    if (!*out)
        return gram_fail_memory(source->err, source->where);
    for (size_t i = 0; i < n; i++)
        GRAM_TRY(read_one(source, json_array_get(list, i), &(*out)[i]));
    *out_n = n;
    return GRAM_OK;
}

enum gram_status gram_added_specs_place(const struct gram_added_spec *specs, size_t n,
                                        const struct gram_source *source, struct gram_vocab *vocab)
{
    for (size_t i = 0; i < n; i++) {
        const struct gram_added_spec *spec = &specs[i];
        const int32_t known = gram_vocab_find(vocab, spec->content, spec->len);
        struct gram_token *token = &vocab->at[spec->id];

        if (known >= 0 && known != spec->id)
            return gram_fail(source->err, GRAM_EFORMAT,
                             "%s: added token '%s' has id %d, but id %d in the vocabulary",
                             source->where, spec->content, (int)spec->id, (int)known);
        const bool there = token->text && token->len == spec->len &&
                           memcmp(token->text, spec->content, spec->len) == 0;
        if (!there)
            GRAM_TRY(gram_vocab_put(vocab, source, spec->id, spec->content, spec->len));
        token->is_special = token->is_special || spec->is_special;
    }
    return GRAM_OK;
}

/* What to look for behind the normalizers: the token as they would write it. */
static enum gram_status normalize_token(const struct gram_tokenizer *tokenizer,
                                        const struct gram_source *source,
                                        struct gram_added_token *token)
{
    struct gram_matcher matcher = {.err = source->err};
    struct gram_buf work[2] = {0};

    enum gram_status status =
        gram_normalizers_apply(&tokenizer->normalizers, &matcher, token->text, token->len, true,
                               work, &token->text, &token->len);
    if (status == GRAM_OK) {
        token->text = gram_arena_strn(source->arena, token->text, token->len);
        if (!token->text)
            status = gram_fail_memory(source->err, source->where);
    }
    gram_buf_reset(&work[0]);
    gram_buf_reset(&work[1]);
    gram_matcher_reset(&matcher);
    return status;
}

enum gram_status gram_tokenizer_build_added(struct gram_tokenizer *tokenizer,
                                            const struct gram_source *source,
                                            const struct gram_added_spec *specs, size_t n)
{
    struct gram_added_token *tokens[2]; /* raw, normalized */
    size_t count[2] = {0, 0};

    for (int side = 0; side < 2; side++) {
        tokens[side] = gram_arena_take(source->arena, n, sizeof **tokens);
        if (!tokens[side])
            return gram_fail_memory(source->err, source->where);
    }
    for (size_t i = 0; i < n; i++) {
        const struct gram_added_spec *spec = &specs[i];
        const int side = spec->is_normalized;
        struct gram_added_token *token = &tokens[side][count[side]++];

        *token = (struct gram_added_token){spec->content,    spec->len,    spec->id,
                                           spec->is_special, spec->lstrip, spec->rstrip,
                                           spec->single_word};
        if (side == 1 && !spec->is_as_is)
            GRAM_TRY(normalize_token(tokenizer, source, token));
    }
    gram_added_build(&tokenizer->raw_added, tokens[0], count[0]);
    gram_added_build(&tokenizer->normalized_added, tokens[1], count[1]);
    return GRAM_OK;
}
