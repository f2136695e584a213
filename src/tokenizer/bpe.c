/*
 * A piece is a linked list of symbols, first its characters. The pair of lowest rank (leftmost
 * among equals) is merged until no pair can be. A heap of (rank, position) finds it; entries whose
 * pair is no longer there are skipped when they come up. (Sennrich, Haddow, Birch 2016; the heap as
 * in SentencePiece's bpe_model.cc and `tokenizers`' word.rs.)
 *
 * Two characters that stand side by side in no merged token can never end up in one: there the
 * piece is cut before anything is merged. So even a piece that is a whole text (Llama 2) is merged
 * word by word.
 */
#include "tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/utf8.h"

#define NO_RANK UINT32_MAX
enum { TOUCHING_BITS = 1 << 18 };

struct gram_bpe_symbol {
    int32_t id;
    int32_t before, after; /* neighbours; -1 at the ends */
    uint32_t rank;         /* of the pair that starts here; NO_RANK if it cannot merge */
    int32_t merged;        /* what that pair becomes */
};

static size_t slot_of_pair(const struct gram_bpe *bpe, uint64_t pair)
{
    uint64_t hash = pair * 0x9e3779b97f4a7c15u;
    return (size_t)(hash ^ hash >> 32) & bpe->mask;
}

static const struct gram_merge *find_merge(const struct gram_bpe *bpe, int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)left << 32 | (uint32_t)right;
    size_t i = slot_of_pair(bpe, pair);

    while (bpe->merges[i].id >= 0 && bpe->merges[i].pair != pair)
        i = (i + 1) & bpe->mask;
    return &bpe->merges[i];
}

enum gram_status gram_bpe_init(struct gram_bpe *bpe, const struct gram_source *source,
                               const struct gram_vocab *vocab, size_t count)
{
    size_t slots = 16;

    if (count > INT32_MAX / 4)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: %zu merges are too many", source->where,
                         count);
    while (slots < count * 2)
        slots *= 2;
    *bpe = (struct gram_bpe){.vocab = vocab, .mask = slots - 1, .room = count, .unknown = -1};
    bpe->merges = gram_arena_take(source->arena, slots, sizeof *bpe->merges);
    bpe->touching = gram_arena_take(source->arena, TOUCHING_BITS / 64, sizeof *bpe->touching);
    if (!bpe->merges || !bpe->touching)
        return gram_fail_memory(source->err, source->where);
    for (size_t i = 0; i < slots; i++)
        bpe->merges[i].id = -1;
    memset(bpe->bytes, 0xff, sizeof bpe->bytes);
    for (uint32_t c = 0; c < 0x800; c++) {
        char bytes[4];
        const int32_t id = gram_vocab_find(vocab, bytes, gram_utf8_put(bytes, c));
        bpe->low[c] = id >= 0 ? id : (int32_t)(GRAM_SYMBOL_CHAR + c);
    }
    return GRAM_OK;
}

static size_t touching_bit(uint32_t left, uint32_t right)
{
    const uint64_t hash = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 46); /* 18 bits */
}

/* A bit that is set for another pair only costs a cut that could have been made. */
static bool may_touch(const struct gram_bpe *bpe, uint32_t left, uint32_t right)
{
    const size_t bit = touching_bit(left, right);
    return bpe->touching[bit / 64] >> bit % 64 & 1;
}

static void note_touching(struct gram_bpe *bpe, const struct gram_token *token)
{
    uint32_t before = 0, c;

    for (size_t i = 0; i < token->len; before = c) {
        const size_t step = gram_utf8_next(token->text + i, token->len - i, &c);
        const size_t bit = touching_bit(before, c);
        if (i > 0)
            bpe->touching[bit / 64] |= (uint64_t)1 << bit % 64;
        i += step;
    }
}

void gram_bpe_add(struct gram_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    struct gram_merge *merge = &bpe->merges[find_merge(bpe, left, right) - bpe->merges];

    if (merge->id < 0) {
        GRAM_ASSERT(bpe->room > 0);
        bpe->room--;
    }
    *merge = (struct gram_merge){(uint64_t)left << 32 | (uint32_t)right, rank, id};
    note_touching(bpe, &bpe->vocab->at[id]);
}

int32_t gram_bpe_symbol(const struct gram_bpe *bpe, uint32_t c, const char *bytes, size_t n)
{
    if (c < 0x800)
        return bpe->low[c];
    const int32_t id = gram_vocab_find(bpe->vocab, bytes, n);
    return id >= 0 ? id : (int32_t)(GRAM_SYMBOL_CHAR + c);
}

void gram_bpe_work_reset(struct gram_bpe_work *work)
{
    free(work->symbols);
    free(work->heap);
    *work = (struct gram_bpe_work){0};
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    const uint64_t key = heap[i];

    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= key)
            break;
        heap[i] = heap[child];
    }
    heap[i] = key;
}

static void push(struct gram_bpe_work *work, uint64_t key)
{
    size_t i = work->heap_len++;

    for (; i > 0 && work->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        work->heap[i] = work->heap[(i - 1) / 2];
    work->heap[i] = key;
}

static uint64_t pop(struct gram_bpe_work *work)
{
    const uint64_t top = work->heap[0];

    work->heap[0] = work->heap[--work->heap_len];
    sift_down(work->heap, work->heap_len, 0);
    return top;
}

/* Look up the pair that starts at `at`; true if it can merge. */
static bool rank_pair(const struct gram_bpe *bpe, struct gram_bpe_symbol *symbols, int32_t at)
{
    struct gram_bpe_symbol *s = &symbols[at];

    s->rank = NO_RANK;
    if (s->after < 0)
        return false;
    const struct gram_merge *merge = find_merge(bpe, s->id, symbols[s->after].id);
    if (merge->id < 0)
        return false;
    s->rank = merge->rank;
    s->merged = merge->id;
    return true;
}

static uint64_t key_of(const struct gram_bpe_symbol *symbols, int32_t at)
{
    return (uint64_t)symbols[at].rank << 32 | (uint32_t)at;
}

static void merge_at(const struct gram_bpe *bpe, struct gram_bpe_work *work, int32_t at)
{
    struct gram_bpe_symbol *symbols = work->symbols, *s = &symbols[at];
    const int32_t gone = s->after;

    s->id = s->merged;
    s->after = symbols[gone].after;
    symbols[gone].rank = NO_RANK;
    if (s->after >= 0)
        symbols[s->after].before = at;
    if (rank_pair(bpe, symbols, at))
        push(work, key_of(symbols, at));
    if (s->before >= 0 && rank_pair(bpe, symbols, s->before))
        push(work, key_of(symbols, s->before));
}

static void merge_all(const struct gram_bpe *bpe, struct gram_bpe_work *work, size_t n)
{
    work->heap_len = 0;
    for (size_t i = 0; i + 1 < n; i++)
        if (rank_pair(bpe, work->symbols, (int32_t)i))
            work->heap[work->heap_len++] = key_of(work->symbols, (int32_t)i);
    for (size_t i = work->heap_len / 2; i-- > 0;)
        sift_down(work->heap, work->heap_len, i);
    while (work->heap_len > 0) {
        const uint64_t key = pop(work);
        if (work->symbols[(uint32_t)key].rank == key >> 32)
            merge_at(bpe, work, (int32_t)(uint32_t)key);
    }
}

/* Room for one more symbol. Every merge takes one away and adds at most two entries to the heap:
 * three entries a symbol are enough. */
static bool make_room(struct gram_bpe_work *work, size_t n)
{
    void *symbols = work->symbols, *heap = work->heap;
    size_t entries;

    if (n > INT32_MAX / 2 || !gram_mul_size(&entries, n, 3))
        return false;
    if (!gram_grow(&symbols, &work->symbols_cap, n, sizeof *work->symbols))
        return false;
    work->symbols = symbols;
    if (!gram_grow(&heap, &work->heap_cap, entries, sizeof *work->heap))
        return false;
    work->heap = heap;
    return true;
}

static bool add_id(struct gram_ids *ids, int32_t id)
{
    void *at = ids->at;

    if (ids->len == ids->cap && !gram_grow(&at, &ids->cap, ids->len + 1, sizeof *ids->at))
        return false;
    ids->at = at;
    ids->at[ids->len++] = id;
    return true;
}

static bool has_bytes(const struct gram_bpe *bpe, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bpe->bytes[(unsigned char)bytes[i]] < 0)
            return false;
    return true;
}

/* A character that no token has: its bytes, else the unknown token. */
static bool add_character(const struct gram_bpe *bpe, struct gram_ids *ids, uint32_t c, bool *fuses)
{
    char bytes[4];
    const size_t n = gram_utf8_put(bytes, c);
    bool ok = true;

    if (has_bytes(bpe, bytes, n)) {
        for (size_t i = 0; i < n; i++)
            ok = ok && add_id(ids, bpe->bytes[(unsigned char)bytes[i]]);
        *fuses = false;
        return ok;
    }
    if (!*fuses)
        ok = bpe->unknown < 0 || add_id(ids, bpe->unknown);
    *fuses = bpe->fuse_unknown;
    return ok;
}

/* Merge the first n symbols and append what they become. */
static bool encode_run(const struct gram_bpe *bpe, struct gram_bpe_work *work, size_t n,
                       struct gram_ids *ids, bool *fuses)
{
    bool ok = true;

    if (n == 0)
        return true;
    work->symbols[n - 1].after = -1;
    merge_all(bpe, work, n);
    for (int32_t i = 0; i >= 0 && ok; i = work->symbols[i].after) {
        const int32_t id = work->symbols[i].id;
        if (id >= GRAM_SYMBOL_CHAR) {
            ok = add_character(bpe, ids, (uint32_t)(id - GRAM_SYMBOL_CHAR), fuses);
        } else {
            *fuses = false;
            ok = add_id(ids, id);
        }
    }
    return ok;
}

/* Is there no way to write this character? Then its neighbours become neighbours. */
static bool vanishes(const struct gram_bpe *bpe, int32_t symbol, const char *bytes, size_t n)
{
    return symbol >= GRAM_SYMBOL_CHAR && bpe->unknown < 0 && !has_bytes(bpe, bytes, n);
}

bool gram_bpe_encode(const struct gram_bpe *bpe, struct gram_bpe_work *work, const char *piece,
                     size_t len, struct gram_ids *ids)
{
    uint32_t before = 0, c;
    bool fuses = false;
    int32_t n = 0;

    if (bpe->whole_first) {
        const int32_t id = gram_vocab_find(bpe->vocab, piece, len);
        if (id >= 0)
            return add_id(ids, id);
    }
    for (size_t i = 0, step; i < len; i += step) {
        step = gram_utf8_next(piece + i, len - i, &c);
        const int32_t symbol = gram_bpe_symbol(bpe, c, piece + i, step);
        if (vanishes(bpe, symbol, piece + i, step))
            continue;
        if (n > 0 && !may_touch(bpe, before, c)) {
            if (!encode_run(bpe, work, (size_t)n, ids, &fuses))
                return false;
            n = 0;
        }
        if (!make_room(work, (size_t)n + 1))
            return false;
        work->symbols[n] = (struct gram_bpe_symbol){symbol, n - 1, n + 1, NO_RANK, -1};
        n++;
        before = c;
    }
    return encode_run(bpe, work, (size_t)n, ids, &fuses);
}
