/* A hash table with linear probing over token texts. */
#include "tokenizer/vocab.h"

#include <string.h>

static uint64_t hash_bytes(const char *s, size_t len)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ len;

    for (; len >= 8; s += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, s, 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    uint64_t tail = 0;
    memcpy(&tail, s, len);
    hash = (hash ^ tail) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 29;
}

enum gram_status gram_vocab_init(struct gram_vocab *vocab, const struct gram_source *source,
                                 int64_t highest, size_t count)
{
    const uint64_t limit = (uint64_t)count * 8 + 65536;
    size_t slots = 16;

    if (highest < 0 || count == 0)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: the vocabulary is empty", source->where);
    if ((uint64_t)highest >= limit || highest >= INT32_MAX)
        return gram_fail(source->err, GRAM_EFORMAT,
                         "%s: token id %lld is too high for a vocabulary of %zu tokens",
                         source->where, (long long)highest, count);
    while (slots < count * 2)
        slots *= 2;
    vocab->n = (int32_t)(highest + 1);
    vocab->at = gram_arena_take(source->arena, (size_t)vocab->n, sizeof *vocab->at);
    vocab->slots = gram_arena_take(source->arena, slots, sizeof *vocab->slots);
    vocab->mask = slots - 1;
    if (!vocab->at || !vocab->slots)
        return gram_fail_memory(source->err, source->where);
    memset(vocab->slots, 0xff, slots * sizeof *vocab->slots);
    return GRAM_OK;
}

enum gram_status gram_vocab_put(struct gram_vocab *vocab, const struct gram_source *source,
                                int32_t id, const char *text, size_t len)
{
    struct gram_token *token = &vocab->at[id];

    if (token->text)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: tokens '%.*s' and '%.*s' share id %d",
                         source->where, (int)token->len, token->text, (int)len, text, (int)id);
    if (len > INT32_MAX)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: token %d has %zu bytes", source->where,
                         (int)id, len);
    token->text = text;
    token->len = (uint32_t)len;
    return GRAM_OK;
}

/* The slot that holds the text, or the free one where it belongs. There is always a free one: the
 * table has twice as many slots as tokens. */
static int32_t *slot_of(const struct gram_vocab *vocab, const char *text, size_t len)
{
    for (size_t i = hash_bytes(text, len) & vocab->mask;; i = (i + 1) & vocab->mask) {
        const int32_t id = vocab->slots[i];
        if (id < 0)
            return &vocab->slots[i];
        const struct gram_token *token = &vocab->at[id];
        if (token->len == len && memcmp(token->text, text, len) == 0)
            return &vocab->slots[i];
    }
}

bool gram_vocab_list(struct gram_vocab *vocab, int32_t id)
{
    int32_t *slot = slot_of(vocab, vocab->at[id].text, vocab->at[id].len);

    if (*slot >= 0)
        return false;
    *slot = id;
    return true;
}

int32_t gram_vocab_find(const struct gram_vocab *vocab, const char *text, size_t len)
{
    return *slot_of(vocab, text, len);
}
