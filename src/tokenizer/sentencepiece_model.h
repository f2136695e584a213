/* A SentencePiece model file as it is stored: pieces and the settings that matter. */
#ifndef GRAM_TOKENIZER_SENTENCEPIECE_MODEL_H
#define GRAM_TOKENIZER_SENTENCEPIECE_MODEL_H

#include "tokenizer/source.h"

/* ModelProto.SentencePiece.Type */
enum gram_piece_type {
    GRAM_PIECE_NORMAL = 1,
    GRAM_PIECE_UNKNOWN,
    GRAM_PIECE_CONTROL,
    GRAM_PIECE_USER_DEFINED,
    GRAM_PIECE_UNUSED,
    GRAM_PIECE_BYTE,
};

struct gram_sp_piece {
    const char *text; /* borrowed from the file */
    size_t len;
    float score; /* finite */
    enum gram_piece_type type;
};

/* The numbers are as wide as varints are; flags are zero or not. */
struct gram_sp_model {
    struct gram_sp_piece *pieces; /* by id */
    size_t n, cap;
    uint64_t type, byte_fallback, suffix;                 /* trainer_spec */
    int64_t bos, eos;                                     /* trainer_spec; -1: none */
    uint64_t dummy_prefix, squeeze, escape, charsmap_len; /* normalizer_spec */
};

/*
 * Read and check the bytes of a tokenizer.model: type BPE, no charsmap, one unknown piece, pieces
 * of valid UTF-8. The model borrows the bytes; release it with gram_sp_model_reset() in any case.
 * Returns GRAM_OK, GRAM_EFORMAT, GRAM_EUNSUPPORTED, GRAM_ENOMEM.
 */
enum gram_status gram_sp_model_read(struct gram_sp_model *model, const struct gram_source *source,
                                    const void *bytes, size_t len);
void gram_sp_model_reset(struct gram_sp_model *model);

/* The byte of a piece written "<0x0A>"; -1 for any other. */
int gram_sp_piece_byte(const struct gram_sp_piece *piece);

#endif
