/*
 * What a killed run leaves for the next: a first line that says which job it was, then a line for
 * every finished unit with the hash of what was read and the sums of what was written. Nothing in
 * it is trusted: a unit is taken over when its bytes, read again, have these.
 */
#ifndef GRAM_QUANT_JOURNAL_H
#define GRAM_QUANT_JOURNAL_H

#include "base/output.h"
#include "quant/layout.h"

/* What must be the same for a unit to be taken over; hashes of them. */
struct gram_fingerprint {
    char sources[GRAM_SHA256_HEX]; /* names, sizes and headers of the source files */
    char recipe[GRAM_SHA256_HEX];  /* what becomes of every tensor, and where it is put */
    char calibration[GRAM_SHA256_HEX]; /* text, options, processor; "" where none of them matter */
    bool allow_nonfinite;
};

/*
 * Read the journal of the interrupted run. If it was this job, mark the units that it finished as
 * done and resumed (their bytes still to be checked) and set *changed to NULL. If it was another,
 * set *changed to what differs ("the recipe"). An empty journal leaves all undone.
 */
enum gram_status gram_journal_read(const char *text, const struct gram_fingerprint *fingerprint,
                                   struct gram_layout *layout, const char **changed,
                                   struct gram_error *err);

/* The first line; a unit's line. */
enum gram_status gram_journal_begin(struct gram_output *output,
                                    const struct gram_fingerprint *fingerprint,
                                    struct gram_error *err);
/* What a transform chose in a block: before the units of this block. */
enum gram_status gram_journal_add_note(struct gram_output *output, int layer, const char *note,
                                       struct gram_error *err);
enum gram_status gram_journal_add(struct gram_output *output, const struct gram_unit *unit,
                                  struct gram_error *err);

#endif
