/* Edit distance with swaps of neighbours (optimal string alignment), on short names. */
#include "suggest.h"

#include <string.h>

enum { LONGEST = 40 };

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Both at most LONGEST bytes. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST + 1]; /* of the prefixes of a: two back, one back, this one */
    const size_t n = strlen(a), m = strlen(b);

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *back = rows[(i + 2) % 3], *back2 = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = min3(back[j] + 1, now[j - 1] + 1, back[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                back2[j - 2] + 1 < now[j])
                now[j] = back2[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

void suggest(struct suggestion *s, const char *name)
{
    const size_t typed = strlen(s->wrong), len = strlen(name);

    if (typed == 0 || typed > LONGEST || len > LONGEST)
        return;
    const size_t allowed = (typed > len ? typed : len) / 3 + 1;
    const size_t distance = edit_distance(s->wrong, name);
    if (distance <= allowed && distance < len && (!s->best || distance < s->distance)) {
        s->best = name;
        s->distance = distance;
    }
}

const char *suggest_choice(const char *wrong, const struct gram_choice *choices)
{
    struct suggestion s = {.wrong = wrong};

    for (; choices->name; choices++)
        suggest(&s, choices->name);
    return s.best;
}
