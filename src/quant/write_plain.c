/*
 * Tensors that stay what they are, and casts. Bytes that are kept go from the mapping to the file;
 * casts go through floats, and a value that the narrower type cannot hold is an error, not an
 * infinity.
 */
#include "quant/write.h"

#include <string.h>

#include "base/checked.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"
#include "tensor/grid.h"

enum { SLICE_BYTES = 1 << 17 };

struct slice_result {
    double squared_error, squares;
    int64_t bad_source, bad_output; /* first element of the piece that is not finite; -1 */
    uint64_t nonfinite;
};

struct copier {
    const struct gram_writer *writer;
    struct gram_unit *unit;
    bool is_cast;
    struct gram_piece piece;
    int64_t size, out_size; /* bytes of an element before and after */
    int64_t slice;          /* elements of a slice */
    struct slice_result *results;
    char *out; /* the cast piece */
    struct gram_xxh64 checksum;
    enum gram_status write_status; /* of the item that writes what is kept */
    struct gram_error write_err;
};

/* Items before the slices: a kept piece is summed up and written while its pages are there. */
enum { SUM_ITEM, WRITE_ITEM, FIRST_SLICE };

static int64_t piece_count(const struct copier *c)
{
    return (c->piece.end - c->piece.begin) * c->piece.row_bytes / c->size;
}

static uint64_t count_nonfinite(const char *data, enum gram_dtype dtype, int64_t n)
{
    const int64_t size = gram_dtype_bits(dtype) / 8;
    uint64_t found = 0;

    for (int64_t i = 0; i < n; i++) {
        i += gram_find_nonfinite(data + i * size, dtype, n - i);
        found += i < n;
    }
    return found;
}

/* Elements [begin, end) of the piece in the other type, and what that changed. */
static void cast(struct copier *c, int64_t begin, int64_t end, struct slice_result *result)
{
    enum { AT_ONCE = 1024 };
    const enum gram_dtype from = c->piece.tensor->dtype, to = c->unit->parts[0].dtype;
    float x[AT_ONCE], y[AT_ONCE];

    for (int64_t i = begin; i < end; i += AT_ONCE) {
        const int64_t n = gram_min_i64(AT_ONCE, end - i);
        gram_read_f32(x, c->piece.data, from, i, n);
        gram_write_f32(c->out, to, i, x, n);
        const int64_t bad = gram_find_nonfinite(c->out + i * c->out_size, to, n);
        if (bad < n) {
            result->bad_output = result->bad_output < 0 ? i + bad : result->bad_output;
            continue;
        }
        gram_read_f32(y, c->out, to, i, n);
        result->squares += gram_sum_squares(x, n);
        for (int64_t k = 0; k < n; k++)
            y[k] = x[k] - y[k];
        result->squared_error += gram_sum_squares(y, n);
    }
}

static void look_at_slice(struct copier *c, int64_t slice)
{
    const enum gram_dtype dtype = c->piece.tensor->dtype;
    struct slice_result *result = &c->results[slice];
    const int64_t first = slice * c->slice;
    const int64_t last = gram_min_i64(piece_count(c), first + c->slice);
    const char *data = c->piece.data + first * c->size;
    const int64_t bad = gram_find_nonfinite(data, dtype, last - first);

    *result = (struct slice_result){.bad_source = -1, .bad_output = -1};
    if (bad < last - first) {
        result->bad_source = first + bad;
        result->nonfinite = count_nonfinite(data, dtype, last - first);
    }
    if (c->is_cast)
        cast(c, first, last, result);
}

static void write_piece(struct copier *c, const char *bytes)
{
    const uint64_t first = (uint64_t)(c->piece.begin * (c->piece.row_bytes / c->size));
    const size_t n = (size_t)(piece_count(c) * c->out_size);
    c->write_status = gram_write_part(c->writer, c->unit, 0, first * (uint64_t)c->out_size, bytes,
                                      n, &c->write_err);
}

static void run_item(void *context, int64_t begin, int64_t end, int worker)
{
    struct copier *c = context;

    (void)worker, (void)end;
    if (begin >= FIRST_SLICE)
        look_at_slice(c, begin - FIRST_SLICE);
    else if (c->is_cast)
        return; /* later, when all is cast */
    else if (begin == SUM_ITEM)
        gram_xxh64_add(&c->checksum, c->piece.data, (size_t)(piece_count(c) * c->size));
    else
        write_piece(c, c->piece.data);
}

static enum gram_status check_slice(const struct copier *c, const struct slice_result *r,
                                    struct gram_error *err)
{
    if (c->writer->allow_nonfinite)
        return GRAM_OK;
    if (r->bad_source >= 0)
        return gram_fail_nonfinite(c->writer, &c->piece, r->bad_source,
                                   "; to write it all the same, allow it", err);
    if (r->bad_output < 0)
        return GRAM_OK;
    return gram_fail_nonfinite(c->writer, &c->piece, r->bad_output,
                               c->unit->parts[0].dtype == GRAM_F16
                                   ? ", which f16 cannot hold (65504 is its largest); use bf16"
                                   : ", which bf16 cannot hold",
                               err);
}

static enum gram_status run_piece(struct copier *c, struct gram_error *err)
{
    const int64_t slices = gram_ceil_div(piece_count(c), c->slice);
    struct gram_unit_result *sum = &c->unit->result;

    GRAM_TRY(gram_stream_run(c->writer->stream, &c->piece, true, FIRST_SLICE + slices, run_item, c,
                             err));
    for (int64_t i = 0; i < slices; i++) {
        GRAM_TRY(check_slice(c, &c->results[i], err));
        sum->squared_error += c->results[i].squared_error;
        sum->squares += c->results[i].squares;
        sum->nonfinite += c->results[i].nonfinite;
    }
    if (c->is_cast) {
        gram_xxh64_add(&c->checksum, c->out, (size_t)(piece_count(c) * c->out_size));
        write_piece(c, c->out);
    }
    if (c->write_status != GRAM_OK)
        return gram_fail(err, c->write_status, "%s", c->write_err.message);
    return GRAM_OK;
}

static enum gram_status run_all(struct copier *c, struct gram_error *err)
{
    const struct gram_tensor *source = c->unit->source;

    if (!gram_stream_piece(source, 0, &c->piece))
        return GRAM_OK;
    const int64_t most = piece_count(c); /* the first piece is the largest */
    c->results = calloc((size_t)(most / c->slice + 1), sizeof *c->results);
    c->out = c->is_cast ? malloc((size_t)(most * c->out_size)) : NULL;
    if (!c->results || (c->is_cast && !c->out))
        return gram_fail_memory(err, source->name);
    for (int64_t row = 0; gram_stream_piece(source, row, &c->piece); row = c->piece.end)
        GRAM_TRY(run_piece(c, err));
    return GRAM_OK;
}

enum gram_status gram_write_plain(const struct gram_writer *writer, struct gram_unit *unit,
                                  struct gram_error *err)
{
    const int64_t size = gram_max_i64(1, gram_dtype_bits(unit->source->dtype) / 8);
    struct copier c = {
        .writer = writer,
        .unit = unit,
        .is_cast = unit->how.scheme.kind == GRAM_SCHEME_CAST,
        .size = size,
        .out_size = gram_max_i64(1, gram_dtype_bits(unit->parts[0].dtype) / 8),
        .slice = SLICE_BYTES / size,
    };

    gram_xxh64_init(&c.checksum);
    const enum gram_status status = run_all(&c, err);
    unit->result.part_sum[0] = gram_xxh64_value(&c.checksum);
    free(c.results);
    free(c.out);
    return status;
}
