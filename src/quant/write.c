/* What both ways of writing share. */
#include "quant/write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "tensor/dtype.h"

enum gram_status gram_write_part(const struct gram_writer *writer, const struct gram_unit *unit,
                                 int part, uint64_t at, const void *bytes, size_t n,
                                 struct gram_error *err)
{
    const struct gram_output_file *file = &writer->layout->shards[unit->shard].file;
    return gram_output_write(file, unit->offset[part] + at, bytes, n, err);
}

/* "3, 17": the place in the tensor of an element of the piece. */
static void print_index(char *out, size_t size, const struct gram_piece *piece, int64_t index)
{
    const struct gram_tensor *t = piece->tensor;
    int64_t stride = t->count;
    int64_t rest = index + (t->rank > 0 ? piece->begin * (t->count / t->shape[0]) : 0);
    size_t at = 0;

    out[0] = '\0';
    for (int i = 0; i < t->rank && at < size; i++) {
        stride /= t->shape[i];
        at += (size_t)snprintf(out + at, size - at, "%s%" PRId64, i ? ", " : "", rest / stride);
        rest %= stride;
    }
}

enum gram_status gram_fail_nonfinite(const struct gram_writer *writer,
                                     const struct gram_piece *piece, int64_t index, const char *so,
                                     struct gram_error *err)
{
    const struct gram_tensor *t = piece->tensor;
    char place[160];
    float value;

    gram_read_f32(&value, piece->data, t->dtype, index, 1);
    print_index(place, sizeof place, piece, index);
    return gram_fail(err, GRAM_ENONFINITE, "%s: %s[%s] is %g%s",
                     gram_store_file_path(writer->store, t->file), t->name, place, (double)value,
                     so);
}
