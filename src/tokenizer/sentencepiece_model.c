/* sentencepiece_model.proto, the fields that encoding needs; the others are skipped. */
#include "tokenizer/sentencepiece_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/half.h"
#include "base/utf8.h"
#include "tokenizer/protobuf.h"

struct reading {
    struct gram_sp_model *model;
    const struct gram_source *source;
};

static enum gram_status malformed(const struct reading *r, const char *part, const char *problem)
{
    return gram_fail(r->source->err, GRAM_EFORMAT, "%s: %s: %s", r->source->where, part, problem);
}

/* Where a field of a spec goes. */
struct target {
    uint32_t number;
    enum gram_wire wire;
    uint64_t *value;
};

static enum gram_status read_spec(const struct reading *r, const struct gram_field *spec,
                                  const char *part, const struct target *targets, size_t n)
{
    struct gram_message message = {spec->bytes, spec->len, 0, NULL};
    struct gram_field field;

    while (gram_message_next(&message, &field)) {
        for (size_t i = 0; i < n; i++) {
            if (targets[i].number != field.number)
                continue;
            if (targets[i].wire != field.wire)
                return malformed(r, part, "a field of the wrong kind");
            *targets[i].value = field.wire == GRAM_WIRE_BYTES ? field.len : field.value;
        }
    }
    return message.problem ? malformed(r, part, message.problem) : GRAM_OK;
}

static enum gram_status read_piece(struct reading *r, const struct gram_field *entry)
{
    struct gram_message message = {entry->bytes, entry->len, 0, NULL};
    struct gram_sp_piece piece = {.type = GRAM_PIECE_NORMAL};
    struct gram_field field;
    void *at = r->model->pieces;

    while (gram_message_next(&message, &field)) {
        if (field.number == 1 && field.wire == GRAM_WIRE_BYTES) {
            piece.text = (const char *)field.bytes;
            piece.len = field.len;
        } else if (field.number == 2 && field.wire == GRAM_WIRE_32) {
            piece.score = gram_f32_from_bits((uint32_t)field.value);
        } else if (field.number == 3 && field.wire == GRAM_WIRE_VARINT) {
            piece.type = field.value > GRAM_PIECE_BYTE ? 0 : (enum gram_piece_type)field.value;
        } else if (field.number <= 3) {
            return malformed(r, "a piece", "a field of the wrong kind");
        }
    }
    if (message.problem)
        return malformed(r, "a piece", message.problem);
    if (!gram_grow(&at, &r->model->cap, r->model->n + 1, sizeof *r->model->pieces))
        return gram_fail_memory(r->source->err, r->source->where);
    r->model->pieces = at;
    r->model->pieces[r->model->n++] = piece;
    return GRAM_OK;
}

static enum gram_status read_model(struct reading *r, const void *bytes, size_t len)
{
    const struct target trainer[] = {
        {3, GRAM_WIRE_VARINT, &r->model->type},
        {24, GRAM_WIRE_VARINT, &r->model->suffix},
        {35, GRAM_WIRE_VARINT, &r->model->byte_fallback},
        {41, GRAM_WIRE_VARINT, (uint64_t *)&r->model->bos},
        {42, GRAM_WIRE_VARINT, (uint64_t *)&r->model->eos},
    };
    const struct target normalizer[] = {
        {2, GRAM_WIRE_BYTES, &r->model->charsmap_len},
        {3, GRAM_WIRE_VARINT, &r->model->dummy_prefix},
        {4, GRAM_WIRE_VARINT, &r->model->squeeze},
        {5, GRAM_WIRE_VARINT, &r->model->escape},
    };
    struct gram_message message = {bytes, len, 0, NULL};
    struct gram_field field;

    while (gram_message_next(&message, &field)) {
        if (field.number > 3)
            continue;
        if (field.wire != GRAM_WIRE_BYTES)
            return malformed(r, "the model", "a field of the wrong kind");
        GRAM_TRY(field.number == 1   ? read_piece(r, &field)
                 : field.number == 2 ? read_spec(r, &field, "trainer_spec", trainer,
                                                 sizeof trainer / sizeof *trainer)
                                     : read_spec(r, &field, "normalizer_spec", normalizer,
                                                 sizeof normalizer / sizeof *normalizer));
    }
    return message.problem ? malformed(r, "not a SentencePiece model", message.problem) : GRAM_OK;
}

static enum gram_status check_model(const struct reading *r)
{
    static const char *const types[] = {"of no type", "Unigram", "BPE", "Word", "Char"};
    const struct gram_source *source = r->source;

    if (r->model->n == 0)
        return malformed(r, "the model", "no pieces");
    if (r->model->type != 2)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: a SentencePiece model of type %s is not supported (known: BPE)",
                         source->where, types[r->model->type < 5 ? r->model->type : 0]);
    if (r->model->charsmap_len > 0)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: a precompiled_charsmap is not supported (%" PRIu64 " bytes)",
                         source->where, r->model->charsmap_len);
    if (r->model->suffix)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: treat_whitespace_as_suffix is not supported", source->where);
    return GRAM_OK;
}

/* The byte of "<0x0A>"; -1 if the piece is not written so. */
int gram_sp_piece_byte(const struct gram_sp_piece *piece)
{
    for (int byte = 0; byte < 256 && piece->len == 6; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        if (memcmp(piece->text, name, 6) == 0)
            return byte;
    }
    return -1;
}

static enum gram_status check_piece(const struct reading *r, const struct gram_sp_piece *piece)
{
    const struct gram_source *source = r->source;
    const long id = (long)(piece - r->model->pieces);
    const char *problem = piece->len == 0                                   ? "is empty"
                          : !gram_utf8_valid(piece->text, piece->len, NULL) ? "is not UTF-8"
                          : !isfinite(piece->score) ? "has a score that is no number"
                          : piece->type == 0        ? "has an unknown type"
                          : piece->type == GRAM_PIECE_BYTE && gram_sp_piece_byte(piece) < 0
                              ? "is no byte, but of type BYTE"
                              : NULL;
    if (problem)
        return gram_fail(source->err, GRAM_EFORMAT, "%s: piece %ld %s", source->where, id, problem);
    if (piece->type == GRAM_PIECE_UNUSED)
        return gram_fail(source->err, GRAM_EUNSUPPORTED,
                         "%s: piece %ld: pieces of type UNUSED are not supported", source->where,
                         id);
    return GRAM_OK;
}

static enum gram_status check_pieces(const struct reading *r)
{
    size_t unknown = 0;

    for (size_t i = 0; i < r->model->n; i++) {
        GRAM_TRY(check_piece(r, &r->model->pieces[i]));
        unknown += r->model->pieces[i].type == GRAM_PIECE_UNKNOWN;
    }
    return unknown == 1
               ? GRAM_OK
               : gram_fail(r->source->err, GRAM_EFORMAT, "%s: %zu unknown pieces, must be one",
                           r->source->where, unknown);
}

enum gram_status gram_sp_model_read(struct gram_sp_model *model, const struct gram_source *source,
                                    const void *bytes, size_t len)
{
    struct reading reading = {model, source};

    *model = (struct gram_sp_model){
        .type = 1, .bos = 1, .eos = 2, .dummy_prefix = 1, .squeeze = 1, .escape = 1};
    GRAM_TRY(read_model(&reading, bytes, len));
    GRAM_TRY(check_model(&reading));
    return check_pieces(&reading);
}

void gram_sp_model_reset(struct gram_sp_model *model)
{
    free(model->pieces);
    *model = (struct gram_sp_model){0};
}
