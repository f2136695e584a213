/* PCRE2 behind one small interface; the JIT is used where the processor has it. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/regex.h"

#include <pcre2.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "tokenizer/regex_check.h"

enum { MATCH_LIMIT = 200000000, HEAP_LIMIT_KIB = 65536 };

struct gram_regex {
    struct gram_regex *next;
    pcre2_code *code;
};

static enum gram_status compile(pcre2_code **out, const struct gram_source *source,
                                const struct gram_buf *pattern)
{
    const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int code = 0;
    PCRE2_SIZE at = 0;

    if (!context)
        return gram_fail_memory(source->err, source->where);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    *out = pcre2_compile((PCRE2_SPTR)pattern->at, pattern->len, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!*out) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        return gram_fail(source->err, GRAM_EFORMAT, "%s: pattern '%.120s': %s", source->where,
                         pattern->at, (const char *)text);
    }
    pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
    return GRAM_OK;
}

enum gram_status gram_regex_open(const struct gram_regex **out, const struct gram_source *source,
                                 const char *pattern, size_t len)
{
    struct gram_buf words = {0};
    pcre2_code *code = NULL;

    *out = NULL;
    enum gram_status status =
        gram_regex_translate(&words, pattern, len, source->where, source->err);
    if (status == GRAM_OK)
        status = compile(&code, source, &words);
    gram_buf_reset(&words);
    if (status != GRAM_OK)
        return status;

    struct gram_regex *regex = gram_arena_take(source->arena, 1, sizeof *regex);
    if (!regex) {
        pcre2_code_free(code);
        return gram_fail_memory(source->err, source->where);
    }
    *regex = (struct gram_regex){*source->regexes, code};
    *source->regexes = regex;
    *out = regex;
    return GRAM_OK;
}

void gram_regex_close_all(struct gram_regex **list)
{
    for (; *list; *list = (*list)->next)
        pcre2_code_free((*list)->code);
}

enum gram_status gram_pattern_load(struct gram_pattern *out, const struct gram_source *source,
                                   const json_t *node)
{
    const json_t *regex = json_object_get(node, "Regex"),
                 *literal = json_object_get(node, "String");
    const json_t *value = regex ? regex : literal;

    *out = (struct gram_pattern){0};
    if (!json_is_string(value) || json_string_length(value) == 0)
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: pattern: expected {\"Regex\": \"...\"} or {\"String\": \"...\"}",
                         source->where);
    const char *text = json_string_value(value);
    const size_t len = json_string_length(value);
    if (regex)
        return gram_regex_open(&out->regex, source, text, len);
    out->literal = gram_arena_strn(source->arena, text, len);
    out->literal_len = len;
    return out->literal ? GRAM_OK : gram_fail_memory(source->err, source->where);
}

void gram_matcher_reset(struct gram_matcher *matcher)
{
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    *matcher = (struct gram_matcher){0};
}

static bool prepare(struct gram_matcher *matcher)
{
    if (matcher->data)
        return true;
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    matcher->context = context;
    matcher->data = context ? pcre2_match_data_create(1, NULL) : NULL;
    if (!matcher->data) {
        matcher->status = gram_fail_memory(matcher->err, "a match");
        return false;
    }
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    return true;
}

/* The first match at or behind `from`; the text is known to be valid UTF-8. */
static bool find_regex(struct gram_search *s, size_t from)
{
    struct gram_matcher *matcher = s->matcher;
    const pcre2_code *code = s->pattern->regex->code;
    const PCRE2_SPTR text = (PCRE2_SPTR)s->text;

    if (!prepare(matcher))
        return false;
    int rc =
        pcre2_match(code, text, s->len, from, PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, text, s->len, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data,
                         matcher->context);
    if (rc < 0) {
        if (rc != PCRE2_ERROR_NOMATCH)
            matcher->status = gram_fail(matcher->err, GRAM_EUNSUPPORTED,
                                        "the pre-tokenizer's pattern needs too many steps on this "
                                        "text (byte %zu; PCRE2 error %d)",
                                        from, rc);
        return false;
    }
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(matcher->data);
    s->begin = found[0];
    s->end = found[1];
    return true;
}

static bool find_literal(struct gram_search *s, size_t from)
{
    const struct gram_pattern *p = s->pattern;
    const char *at = memmem(s->text + from, s->len - from, p->literal, p->literal_len);

    if (!at)
        return false;
    s->begin = (size_t)(at - s->text);
    s->end = s->begin + p->literal_len;
    return true;
}

static bool find_class(struct gram_search *s, size_t from)
{
    for (size_t i = from; i < s->len;) {
        uint32_t c;
        const size_t n = gram_utf8_next(s->text + i, s->len - i, &c);
        if (s->pattern->is(c)) {
            s->begin = i;
            s->end = i + n;
            return true;
        }
        i += n;
    }
    return false;
}

void gram_search_start(struct gram_search *search, const struct gram_pattern *pattern,
                       struct gram_matcher *matcher, const char *text, size_t len)
{
    *search =
        (struct gram_search){.pattern = pattern, .text = text, .len = len, .matcher = matcher};
}

bool gram_search_next(struct gram_search *s)
{
    bool (*find)(struct gram_search *, size_t) = s->pattern->regex     ? find_regex
                                                 : s->pattern->literal ? find_literal
                                                                       : find_class;

    while (s->from <= s->len && find(s, s->from)) {
        if (s->end == s->begin && s->any && s->end == s->last_end) {
            uint32_t c;
            const size_t n = gram_utf8_next(s->text + s->from, s->len - s->from, &c);
            s->from += n > 0 ? n : 1;
            continue;
        }
        s->any = true;
        s->from = s->last_end = s->end;
        return true;
    }
    return false;
}

enum gram_status gram_pattern_replace(const struct gram_pattern *pattern,
                                      struct gram_matcher *matcher, const char *text, size_t len,
                                      const char *with, size_t with_len, struct gram_buf *out)
{
    struct gram_search search;
    size_t done = 0;

    gram_search_start(&search, pattern, matcher, text, len);
    while (gram_search_next(&search)) {
        gram_buf_add(out, text + done, search.begin - done);
        gram_buf_add(out, with, with_len);
        done = search.end;
    }
    if (matcher->status != GRAM_OK)
        return matcher->status;
    gram_buf_add(out, text + done, len - done);
    return out->failed ? gram_fail_memory(matcher->err, "a text") : GRAM_OK;
}
