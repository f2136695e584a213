/* The text of one record of a data set, in any of the usual forms (docs/methods.md lists them). */
#ifndef GRAM_CALIB_RECORD_H
#define GRAM_CALIB_RECORD_H

#include "base/buf.h"
#include "base/json.h"

/* Bytes [begin, end) of the text that answer what stands before them: what an assistant says, a response, an
 * output; of a plain text, all. */
struct gram_record_answer {
    size_t begin, end;
};

/* Zero bytes are a valid empty one; used again for the next record. Release with gram_record_reset(). */
struct gram_record {
    struct gram_buf text;
    struct gram_record_answer *answers; /* in their order */
    size_t n_answers, cap_answers;
};

/* Fill in the record. where names it in errors. Returns GRAM_OK, GRAM_EFORMAT, GRAM_ENOMEM. */
enum gram_status gram_record_read(struct gram_record *out, const json_t *record, const char *where,
                                  struct gram_error *err);
void gram_record_reset(struct gram_record *record);

#endif
