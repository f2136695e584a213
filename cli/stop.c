/* Stop strings: show everything but what could still become one. */
#include "stop.h"

#include <stdlib.h>
#include <string.h>

#include "output.h"

static enum gram_status append(struct stopper *s, const char *text, size_t n,
                               struct gram_error *err)
{
    if (s->len + n + 1 > s->cap) {
        const size_t cap = 2 * (s->len + n) + 64;
        char *grown = realloc(s->held, cap);
        if (!grown)
            return refuse(err, GRAM_ENOMEM, "memory ran out");
        s->held = grown;
        s->cap = cap;
    }
    memcpy(s->held + s->len, text, n);
    s->len += n;
    s->held[s->len] = '\0';
    return GRAM_OK;
}

/* Where the first stop string begins that is whole; len if there is none. */
static size_t find_stop(const struct stopper *s)
{
    size_t first = s->len;

    for (size_t i = 0; i < s->stops.n; i++) {
        const char *at = strstr(s->held, s->stops.at[i]);
        if (at && (size_t)(at - s->held) < first)
            first = (size_t)(at - s->held);
    }
    return first;
}

/* Where the longest end of the text starts that is the beginning of a stop string; len if none is.
 */
static size_t find_beginning(const struct stopper *s)
{
    for (size_t from = 0; from < s->len; from++)
        for (size_t i = 0; i < s->stops.n; i++)
            if (strncmp(s->stops.at[i], s->held + from, s->len - from) == 0)
                return from;
    return s->len;
}

enum gram_status stopper_push(struct stopper *s, const char *text, const char **out, size_t *n,
                              struct gram_error *err)
{
    *out = "";
    *n = 0;
    if (s->is_done)
        return GRAM_OK;
    if (s->shown > 0) {
        memmove(s->held, s->held + s->shown, s->len - s->shown + 1);
        s->len -= s->shown;
        s->shown = 0;
    }
    const enum gram_status st = append(s, text, strlen(text), err);
    if (st != GRAM_OK)
        return st;
    s->shown = find_stop(s);
    s->is_done = s->shown < s->len;
    if (!s->is_done)
        s->shown = find_beginning(s);
    *out = s->held;
    *n = s->shown;
    return GRAM_OK;
}

void stopper_flush(struct stopper *s, const char **out, size_t *n)
{
    *out = s->held ? s->held + s->shown : "";
    *n = s->is_done ? 0 : s->len - s->shown;
    s->shown = s->len;
}

void stopper_reset(struct stopper *s)
{
    free(s->held);
    *s = (struct stopper){.stops = s->stops};
}
