/* Any bytes as the journal of an interrupted run: units are done only with all that was written of them. */
#include <stdlib.h>
#include <string.h>

#include "quant/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gram_tensor sources[] = {{.name = "a"}, {.name = "b"}};
    struct gram_unit units[] = {{.source = &sources[0]}, {.source = &sources[1]}};
    struct gram_layout layout = {.units = units, .n_units = 2};
    const struct gram_fingerprint fingerprint = {.sources = "s", .recipe = "r"};
    char *text = malloc(size + 1);
    const char *changed = NULL;
    struct gram_error err;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    GRAM_ASSERT(gram_journal_read(text, &fingerprint, &layout, &changed, &err) == GRAM_OK);
    for (int64_t i = 0; i < 2; i++) {
        const struct gram_unit_result *r = &units[i].result;
        GRAM_ASSERT(!r->is_done || (!changed && r->is_resumed && strlen(r->source_hash) == 64));
    }
    free(text);
    return 0;
}
