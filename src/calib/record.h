/* The text of one record of a data set, in any of the usual forms (docs/methods.md lists them). */
#ifndef GRAM_CALIB_RECORD_H
#define GRAM_CALIB_RECORD_H

#include "base/buf.h"
#include "base/json.h"

/* Append the record's text. where names the record in errors. Returns GRAM_OK or GRAM_EFORMAT; memory: see
 * text->failed. */
enum gram_status gram_record_text(struct gram_buf *text, const json_t *record, const char *where,
                                  struct gram_error *err);

#endif
