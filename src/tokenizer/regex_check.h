/* Which patterns of a model file may run, and in what words PCRE2 gets them. */
#ifndef GRAM_TOKENIZER_REGEX_CHECK_H
#define GRAM_TOKENIZER_REGEX_CHECK_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Read an Oniguruma pattern and append the same pattern in PCRE2's words to `out`.
 * GRAM_EUNSUPPORTED when it uses what the two engines do not share or could take more than linear
 * time on some text; GRAM_EFORMAT when it is malformed. where  named in the error
 */
enum gram_status gram_regex_translate(struct gram_buf *out, const char *pattern, size_t len,
                                      const char *where, struct gram_error *err);

#endif
