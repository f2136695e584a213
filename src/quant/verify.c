/* One pass from front to back; the hash of the file and the sums of the parts run side by side. */
#include "quant/verify.h"

#include "base/checked.h"

enum { CHUNK = 8 << 20 };

struct reader {
    struct gram_layout *layout;
    struct gram_shard *shard;
    char *bytes; /* the chunk at `offset` */
    uint64_t offset, len;
    struct gram_sha256 file_hash;
    struct gram_xxh64 part_sum;
    size_t part; /* the one that is being read */
    int64_t n_bad;
};

static void judge(struct reader *r, struct gram_unit *unit, int part)
{
    const uint64_t sum = gram_xxh64_value(&r->part_sum);

    gram_xxh64_init(&r->part_sum);
    if (!unit->result.is_done || sum == unit->result.part_sum[part])
        return;
    unit->result.is_done = false;
    r->n_bad++;
}

/* All parts that the chunk touches; a part may go on in the next. */
static void sum_parts(struct reader *r)
{
    while (r->part < r->shard->n_parts) {
        const struct gram_placed_part *placed = &r->shard->parts[r->part];
        struct gram_unit *unit = &r->layout->units[placed->unit];
        const uint64_t begin = unit->offset[placed->part];
        const uint64_t end = begin + unit->parts[placed->part].bytes;
        const uint64_t from = begin > r->offset ? begin : r->offset;
        const uint64_t to = end < r->offset + r->len ? end : r->offset + r->len;

        if (from > r->offset + r->len || (from == r->offset + r->len && end > from))
            return;
        if (to > from)
            gram_xxh64_add(&r->part_sum, r->bytes + (from - r->offset), (size_t)(to - from));
        if (to != end)
            return;
        judge(r, unit, placed->part);
        r->part++;
    }
}

static void run_item(void *context, int64_t begin, int64_t end, int worker)
{
    struct reader *r = context;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        if (i == 0)
            gram_sha256_add(&r->file_hash, r->bytes, (size_t)r->len);
        else
            sum_parts(r);
    }
}

static enum gram_status read_chunks(struct reader *r, const struct gram_stream *stream,
                                    struct gram_error *err)
{
    for (r->offset = 0; r->offset < r->shard->bytes; r->offset += r->len) {
        const uint64_t left = r->shard->bytes - r->offset;
        r->len = left < CHUNK ? left : CHUNK;
        GRAM_TRY(gram_stream_poll(stream, err));
        GRAM_TRY(gram_output_read(&r->shard->file, r->offset, r->bytes, (size_t)r->len, err));
        gram_pool_for(stream->pool, 2, 1, run_item, r);
    }
    return GRAM_OK;
}

enum gram_status gram_verify_shard(struct gram_layout *layout, struct gram_shard *shard,
                                   const struct gram_stream *stream, int64_t *n_bad,
                                   struct gram_error *err)
{
    struct reader r = {.layout = layout, .shard = shard, .bytes = malloc(CHUNK)};

    if (!r.bytes)
        return gram_fail_memory(err, shard->name);
    gram_sha256_init(&r.file_hash);
    gram_xxh64_init(&r.part_sum);
    const enum gram_status status = read_chunks(&r, stream, err);
    gram_sha256_hex(&r.file_hash, shard->hash);
    *n_bad += r.n_bad;
    free(r.bytes);
    return status;
}
