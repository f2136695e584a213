/* The ids that go in front of and behind a text. */
#ifndef GRAM_TOKENIZER_POSTPROCESSOR_H
#define GRAM_TOKENIZER_POSTPROCESSOR_H

#include "tokenizer/source.h"
#include "tokenizer/vocab.h"

/* Zero bytes add nothing. */
struct gram_surround {
    int32_t *before, *behind; /* in the tokenizer's arena */
    size_t n_before, n_behind;
};

/* Add the "post_processor" of tokenizer.json; a null node adds nothing. */
enum gram_status gram_postprocessor_load(struct gram_surround *surround,
                                         const struct gram_source *source,
                                         const struct gram_vocab *vocab, const json_t *node);
/* One more id at the far left (or right) end. */
enum gram_status gram_surround_add(struct gram_surround *surround, const struct gram_source *source,
                                   int32_t id, bool is_behind);

#endif
