/* The 4-bit linears of bitsandbytes; bitsandbytes.h has the container. */
#ifndef GRAM_FORMATS_BITSANDBYTES_4BIT_H
#define GRAM_FORMATS_BITSANDBYTES_4BIT_H

#include "formats/module_parts.h"
#include "tensor/weight.h"

/* The module has a part "weight". Codes are used in place where rows begin with whole words.
 * GRAM_EFORMAT. */
enum gram_status gram_bnb_bind_4bit(const struct gram_module *m, struct gram_weight *w);

#endif
