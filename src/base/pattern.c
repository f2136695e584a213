/* With a limit on the steps of a match: patterns come from files. */
#include "base/pattern.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_STEPS = 20000 };

/* pcre2 allocates through the arena. */
static void *take_from_arena(size_t size, void *arena)
{
    return gram_arena_take(arena, 1, size);
}

static void leave_to_arena(void *block, void *arena)
{
    (void)block, (void)arena;
}

enum gram_status gram_pattern_compile(void **out, const char *text, struct gram_arena *arena,
                                      const char *where, struct gram_error *err)
{
    int code;
    size_t at;
    PCRE2_UCHAR reason[128];

    pcre2_general_context *memory =
        pcre2_general_context_create(take_from_arena, leave_to_arena, arena);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    if (!context)
        return gram_fail_memory(err, where);
    *out = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_UTF, &code,
                         &at, context);
    if (*out)
        return GRAM_OK;
    pcre2_get_error_message(code, reason, sizeof reason);
    return gram_fail(err, GRAM_EFORMAT, "%s: target pattern '%s', character %zu: %s", where, text, at,
                     (const char *)reason);
}

enum gram_status gram_pattern_match(const void *pattern, const char *name, bool is_full, bool *yes,
                                    const char *where, struct gram_error *err)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    int rc = PCRE2_ERROR_NOMEMORY;

    if (data && context) {
        pcre2_set_match_limit(context, MATCH_STEPS);
        rc = pcre2_match(pattern, (PCRE2_SPTR)name, strlen(name), 0, is_full ? PCRE2_ENDANCHORED : 0,
                         data, context);
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    *yes = rc >= 0;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
        return GRAM_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return gram_fail_memory(err, where);
    return gram_fail(err, GRAM_EFORMAT, "%s: a target pattern cannot be matched against '%s'", where,
                     name);
}
