/* A tokenizer.json from anyone: it opens or is refused; what opens encodes, and what it decodes to
 * is UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct gram_tokenizer *tokenizer)
{
    static const char text[] = "Hello <s>\xc3\xa9 w\xcc\x81orld\n\n 123 \xf0\x9f\x98\x80</s>";
    struct gram_ids ids = {0};
    struct gram_error err;
    char *back = NULL;
    size_t len;

    if (gram_tokenizer_encode(tokenizer, text, sizeof text - 1, GRAM_ENCODE_SPECIAL, &ids, &err) ==
            GRAM_OK &&
        gram_tokenizer_decode(tokenizer, ids.at, ids.len, false, &back, &len, &err) == GRAM_OK &&
        !gram_utf8_valid(back, len, NULL))
        abort();
    free(back);
    gram_ids_reset(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_tokenizer *tokenizer;
    struct gram_error err;

    if (gram_tokenizer_parse_json(&tokenizer, data, size, "fuzz", &err) == GRAM_OK)
        use(tokenizer);
    gram_tokenizer_close(&tokenizer);
    return 0;
}
