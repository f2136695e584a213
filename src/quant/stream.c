/* Pieces, hashes, progress. */
#include "quant/stream.h"

#include <string.h>

#include "base/checked.h"
#include "base/file.h"

enum { PIECE_BYTES = 8 << 20 };

void gram_stream_init(struct gram_stream *stream, const struct gram_store *store,
                      struct gram_pool *pool, const struct gram_job *job,
                      char (*file_hash)[GRAM_SHA256_HEX], uint64_t total)
{
    *stream = (struct gram_stream){
        .store = store,
        .pool = pool,
        .job = job,
        .is_hashing = true,
        .file = -1,
        .file_hash = file_hash,
        .total = total,
    };
    gram_sha256_init(&stream->hash);
}

enum gram_status gram_stream_poll(const struct gram_stream *stream, struct gram_error *err)
{
    const struct gram_job *job = stream->job;
    if (job && job->cancelled && job->cancelled(job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted");
    return GRAM_OK;
}

static void report(const struct gram_stream *stream)
{
    const struct gram_job *job = stream->job;
    const struct gram_progress progress = {
        .stage = "quantize",
        .item = stream->item,
        .done = stream->done,
        .total = stream->total,
        .unit = "B",
    };
    if (job && job->progress)
        job->progress(job->user, &progress);
}

/* Bytes of all tensors of a file, which follow each other in the store. */
static uint64_t data_bytes(struct gram_stream *stream, int file)
{
    uint64_t bytes = 0;

    for (; stream->next_tensor < gram_store_count(stream->store); stream->next_tensor++) {
        const struct gram_tensor *t = gram_store_at(stream->store, stream->next_tensor);
        if (t->file != file)
            break;
        bytes += t->bytes;
    }
    return bytes;
}

/* What stands before the data: a safetensors file has no gaps, so it is all that no tensor takes.
 */
static enum gram_status hash_header(struct gram_stream *stream, int file, struct gram_error *err)
{
    const char *path = gram_store_file_path(stream->store, file);
    const uint64_t data = data_bytes(stream, file);
    enum gram_status status = GRAM_OK;
    struct gram_file *map;

    GRAM_TRY(gram_file_open(&map, path, err));
    const uint64_t size = gram_file_size(map);
    const void *header = size >= data ? gram_file_view(map, 0, size - data) : NULL;
    if (header)
        gram_sha256_add(&stream->hash, header, (size_t)(size - data));
    else
        status = gram_fail(err, GRAM_EFORMAT, "%s: changed while it was read", path);
    gram_file_close(&map);
    return status;
}

static enum gram_status next_file(struct gram_stream *stream, struct gram_error *err)
{
    if (stream->file >= 0)
        gram_sha256_hex(&stream->hash, stream->file_hash[stream->file]);
    stream->file++;
    return hash_header(stream, stream->file, err);
}

enum gram_status gram_stream_start(struct gram_stream *stream, const struct gram_tensor *tensor,
                                   const char *label, struct gram_error *err)
{
    stream->item = label;
    while (stream->is_hashing && stream->file < tensor->file)
        GRAM_TRY(next_file(stream, err));
    return GRAM_OK;
}

enum gram_status gram_stream_finish(struct gram_stream *stream, struct gram_error *err)
{
    while (stream->file < gram_store_files(stream->store) - 1)
        GRAM_TRY(next_file(stream, err));
    if (stream->file >= 0)
        gram_sha256_hex(&stream->hash, stream->file_hash[stream->file]);
    stream->is_hashing = false;
    return GRAM_OK;
}

void gram_stream_mark(const struct gram_stream *stream, char hex[GRAM_SHA256_HEX])
{
    struct gram_sha256 so_far = stream->hash;
    gram_sha256_hex(&so_far, hex);
}

bool gram_stream_piece(const struct gram_tensor *tensor, int64_t begin, struct gram_piece *piece)
{
    const int64_t rows = tensor->rank > 0 ? tensor->shape[0] : 1;
    if (begin >= rows || tensor->bytes == 0)
        return false;
    const int64_t row_bytes = (int64_t)(tensor->bytes / (uint64_t)rows);
    const int64_t most = gram_max_i64(1, PIECE_BYTES / row_bytes);
    *piece = (struct gram_piece){
        .tensor = tensor,
        .begin = begin,
        .end = gram_min_i64(rows, begin + most),
        .row_bytes = row_bytes,
        .data = (const char *)tensor->data + begin * row_bytes,
    };
    return true;
}

struct run {
    struct gram_stream *stream;
    const struct gram_piece *piece;
    bool is_hashing;
    gram_pool_fn *fn;
    void *context;
};

static size_t piece_bytes(const struct gram_piece *piece)
{
    return (size_t)((piece->end - piece->begin) * piece->row_bytes);
}

/* Item 0 is the hash, which takes longest; the others are the caller's. */
static void run_item(void *context, int64_t begin, int64_t end, int worker)
{
    struct run *run = context;

    for (int64_t i = begin; i < end; i++) {
        if (i > 0)
            run->fn(run->context, i - 1, i, worker);
        else if (run->is_hashing)
            gram_sha256_add(&run->stream->hash, run->piece->data, piece_bytes(run->piece));
    }
}

enum gram_status gram_stream_run(struct gram_stream *stream, const struct gram_piece *piece,
                                 bool is_first_time, int64_t count, gram_pool_fn *fn, void *context,
                                 struct gram_error *err)
{
    struct run run = {stream, piece, is_first_time && stream->is_hashing, fn, context};

    GRAM_TRY(gram_stream_poll(stream, err));
    if (piece->tensor->rank > 0 && piece->end < piece->tensor->shape[0])
        gram_store_willneed(stream->store, piece->tensor, piece->end,
                            gram_min_i64(piece->tensor->shape[0], 2 * piece->end - piece->begin));
    gram_pool_for(stream->pool, count + 1, 1, run_item, &run);
    if (piece->tensor->rank > 0)
        gram_store_release(stream->store, piece->tensor, piece->begin, piece->end);
    if (is_first_time) {
        stream->done += piece_bytes(piece);
        report(stream);
    }
    return GRAM_OK;
}

enum gram_status gram_stream_skip(struct gram_stream *stream, const struct gram_tensor *tensor,
                                  struct gram_error *err)
{
    struct gram_piece piece;

    for (int64_t row = 0; gram_stream_piece(tensor, row, &piece); row = piece.end)
        GRAM_TRY(gram_stream_run(stream, &piece, true, 0, NULL, NULL, err));
    return GRAM_OK;
}
