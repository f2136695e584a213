/* Just enough of the protobuf wire format to read a SentencePiece model. */
#ifndef GRAM_TOKENIZER_PROTOBUF_H
#define GRAM_TOKENIZER_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gram_wire { GRAM_WIRE_VARINT = 0, GRAM_WIRE_64 = 1, GRAM_WIRE_BYTES = 2, GRAM_WIRE_32 = 5 };

/* A message: bytes that are read field by field. */
struct gram_message {
    const uint8_t *at;
    size_t len, off;
    const char *problem; /* why reading stopped; NULL at a clean end */
};

struct gram_field {
    uint32_t number; /* 1 and up */
    enum gram_wire wire;
    uint64_t value;       /* VARINT, 64, 32: as little-endian bits */
    const uint8_t *bytes; /* BYTES */
    size_t len;
};

/* The next field; groups are skipped, nested at most 16 deep. False at the end or when problem is
 * set. */
bool gram_message_next(struct gram_message *message, struct gram_field *field);

#endif
