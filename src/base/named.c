#include "base/named.h"

#include <string.h>

#include "base/buf.h"

static const char *name_at(const void *table, size_t stride, size_t i)
{
    const char *name;
    memcpy(&name, (const char *)table + i * stride, sizeof name);
    return name;
}

static enum gram_status fail_unknown(const void *table, size_t stride, const char *what, const char *name,
                                     struct gram_error *err)
{
    struct gram_buf names = {0};

    for (size_t i = 0; name_at(table, stride, i); i++) {
        const char *before = i == 0 ? "" : name_at(table, stride, i + 1) ? ", " : " and ";
        gram_buf_printf(&names, "%s%s", before, name_at(table, stride, i));
    }
    const enum gram_status status = gram_fail(err, GRAM_EINVAL, "unknown %s '%.64s'; there are %s", what,
                                              name, names.failed ? "others" : names.at);
    gram_buf_reset(&names);
    return status;
}

enum gram_status gram_named_find(size_t *at, const void *table, size_t stride, const char *what,
                                 const char *name, struct gram_error *err)
{
    const char *here;

    for (*at = 0; (here = name_at(table, stride, *at)) != NULL; ++*at) {
        if (strcmp(here, name) == 0)
            return GRAM_OK;
    }
    return fail_unknown(table, stride, what, name, err);
}
