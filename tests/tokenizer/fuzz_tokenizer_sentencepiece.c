/* A tokenizer.model from anyone: it opens or is refused, and what opens encodes and decodes. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizer/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct gram_tokenizer *tokenizer)
{
    static const char text[] = " ab  bb<tool>xy <s> \xc3\xa9 ";
    struct gram_ids ids = {0};
    struct gram_error err;
    char *back = NULL;
    size_t len;

    if (gram_tokenizer_encode(tokenizer, text, sizeof text - 1, GRAM_ENCODE_SPECIAL, &ids, &err) ==
            GRAM_OK &&
        gram_tokenizer_decode(tokenizer, ids.at, ids.len, true, &back, &len, &err) == GRAM_OK &&
        !gram_utf8_valid(back, len, NULL))
        abort();
    free(back);
    gram_ids_reset(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;

    if (gram_tokenizer_parse_sentencepiece(&tokenizer, data, size, "fuzz", &err) == GRAM_OK)
        use(tokenizer);
    gram_tokenizer_close(&tokenizer);
    return 0;
}
