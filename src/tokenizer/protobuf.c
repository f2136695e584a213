/* The wire format: https://protobuf.dev/programming-guides/encoding/ */
#include "tokenizer/protobuf.h"

#include "base/checked.h"

enum { GROUP_START = 3, GROUP_END = 4, GROUP_DEPTH = 16 };

static bool stop(struct gram_message *m, const char *problem)
{
    m->problem = problem;
    return false;
}

static bool read_varint(struct gram_message *m, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (m->off == m->len)
            return stop(m, "a number runs past the end");
        const uint8_t byte = m->at[m->off++];
        if (shift == 63 && byte > 1)
            break;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return stop(m, "a number has more than 64 bits");
}

static bool read_fixed(struct gram_message *m, size_t n, uint64_t *value)
{
    if (!gram_range_inside(m->len, m->off, n))
        return stop(m, "a number runs past the end");
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value |= (uint64_t)m->at[m->off + i] << (8 * i);
    m->off += n;
    return true;
}

static bool read_bytes(struct gram_message *m, struct gram_field *field)
{
    uint64_t len;

    if (!read_varint(m, &len))
        return false;
    if (!gram_range_inside(m->len, m->off, len))
        return stop(m, "a field runs past the end");
    field->bytes = m->at + m->off;
    field->len = (size_t)len;
    m->off += (size_t)len;
    return true;
}

/* The next field of any wire type but those of groups, whose tags only move *depth. */
static bool read_any(struct gram_message *m, struct gram_field *field, int *depth)
{
    uint64_t tag;

    if (!read_varint(m, &tag))
        return false;
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return stop(m, "a field number that cannot be");
    field->number = (uint32_t)(tag >> 3);
    field->wire = (enum gram_wire)(tag & 7);
    switch (tag & 7) {
    case GRAM_WIRE_VARINT:
        return read_varint(m, &field->value);
    case GRAM_WIRE_64:
        return read_fixed(m, 8, &field->value);
    case GRAM_WIRE_32:
        return read_fixed(m, 4, &field->value);
    case GRAM_WIRE_BYTES:
        return read_bytes(m, field);
    case GROUP_START:
        return ++*depth <= GROUP_DEPTH || stop(m, "groups nested too deep");
    case GROUP_END:
        return --*depth >= 0 || stop(m, "the end of a group that did not start");
    default:
        return stop(m, "an unknown wire type");
    }
}

bool gram_message_next(struct gram_message *message, struct gram_field *field)
{
    int depth = 0;

    while (message->off < message->len) {
        *field = (struct gram_field){0};
        if (!read_any(message, field, &depth))
            return false;
        const int wire = (int)field->wire;
        if (depth == 0 && wire != GROUP_START && wire != GROUP_END)
            return true;
    }
    return depth == 0 ? false : stop(message, "a group without its end");
}
