/* tokenizer.json of the `tokenizers` library, model type BPE. Truncation and padding are ignored.
 */
#include "tokenizer/parts.h"

enum gram_status gram_tokenizer_read_stages(struct gram_tokenizer *tokenizer,
                                            const struct gram_source *source, const json_t *root)
{
    GRAM_TRY(gram_normalizers_load(&tokenizer->normalizers, source,
                                   json_object_get(root, "normalizer")));
    GRAM_TRY(gram_pretokenizers_load(&tokenizer->pretokenizers, source,
                                     json_object_get(root, "pre_tokenizer")));
    GRAM_TRY(gram_postprocessor_load(&tokenizer->surround, source, &tokenizer->vocab,
                                     json_object_get(root, "post_processor")));
    return gram_decoders_load(&tokenizer->decoders, source, json_object_get(root, "decoder"));
}

enum gram_status gram_tokenizer_read_json(struct gram_tokenizer *tokenizer,
                                          const struct gram_source *source, const json_t *root)
{
    struct gram_added_spec *added;
    size_t n;

    if (!json_is_object(root))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: expected an object", source->where);
    GRAM_TRY(gram_added_specs_read(&added, &n, source, json_object_get(root, "added_tokens")));
    GRAM_TRY(
        gram_tokenizer_read_model(tokenizer, source, json_object_get(root, "model"), added, n));
    GRAM_TRY(gram_tokenizer_read_stages(tokenizer, source, root));
    return gram_tokenizer_build_added(tokenizer, source, added, n);
}
