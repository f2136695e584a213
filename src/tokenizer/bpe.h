/* Byte pair encoding: the merges, and how a piece becomes ids. */
#ifndef GRAM_TOKENIZER_BPE_H
#define GRAM_TOKENIZER_BPE_H

#include <gram/tokenizer.h>
#include "tokenizer/source.h"
#include "tokenizer/vocab.h"

/*
 * A symbol is a token id, or a character that is no token: GRAM_SYMBOL_CHAR + its code point. The
 * latter can be a side of a merge (SentencePiece merges by text), or stays unknown.
 */
enum { GRAM_SYMBOL_CHAR = 0x40000000 };

/* Immutable once built. */
struct gram_bpe {
    const struct gram_vocab *vocab;
    struct gram_merge {
        uint64_t pair; /* left symbol << 32 | right symbol */
        uint32_t rank; /* lower merges earlier; equal ranks from left to right */
        int32_t id;    /* what the two become; -1: a free slot */
    } * merges;
    size_t mask;        /* slots - 1 */
    size_t room;        /* merges that still fit */
    uint64_t *touching; /* bits, hashed: which characters stand side by side in a merged token */
    int32_t low[0x800]; /* symbols of the characters below U+0800 */
    int32_t bytes[256]; /* tokens "<0x00>".. for byte fallback; -1 where there is none */
    int32_t unknown;    /* -1: unknown characters vanish */
    bool fuse_unknown;  /* a run of unknown characters is one token */
    bool whole_first;   /* a piece that is a token is that token, whatever the merges say */
};

/* Room for `count` merges over the listed tokens of `vocab`; the rest of *bpe is zeroed, `unknown`
 * and bytes are set to -1. */
enum gram_status gram_bpe_init(struct gram_bpe *bpe, const struct gram_source *source,
                               const struct gram_vocab *vocab, size_t count);
/* left + right become id. Of two merges with the same sides the later one holds. */
void gram_bpe_add(struct gram_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id);
/* The symbol of a character. */
int32_t gram_bpe_symbol(const struct gram_bpe *bpe, uint32_t c, const char *bytes, size_t n);

/* What one thread needs to encode; zero bytes are a valid one, reset it when done. */
struct gram_bpe_work {
    struct gram_bpe_symbol *symbols;
    uint64_t *heap;
    size_t symbols_cap, heap_cap, heap_len;
};
void gram_bpe_work_reset(struct gram_bpe_work *work);

/* Append the ids of a piece (valid UTF-8) in time n log n. False when memory ran out. */
bool gram_bpe_encode(const struct gram_bpe *bpe, struct gram_bpe_work *work, const char *piece,
                     size_t len, struct gram_ids *ids);

#endif
