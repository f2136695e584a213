/*
 * The layout of the output: what becomes of every tensor of the source, in the order in which the
 * sources lie on disk, and where it will stand in which output file. All sizes are known before the
 * first weight is read.
 */
#ifndef GRAM_QUANT_LAYOUT_H
#define GRAM_QUANT_LAYOUT_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/output.h"
#include "base/xxh64.h"
#include "engine/checkpoint.h"
#include "formats/container.h"
#include "quant/recipe.h"

/* What is known of a unit once it is written. */
struct gram_unit_result {
    bool is_done, is_resumed;
    char source_hash[GRAM_SHA256_HEX]; /* of the source file up to the end of this tensor */
    uint64_t part_sum[GRAM_MAX_PARTS];    /* XXH64 of the bytes of each */
    double squared_error, squares;     /* of what is stored against the source; of the source */
    uint64_t nonfinite;                /* written through, or replaced where codes cannot say it */
    uint64_t clipped;                  /* scales cut off at the greatest value of their type */
    double output_error; /* mean over tokens of the squared error of all outputs; -1 if not known */
    double damping;      /* that the method took; 0 if it has none */
    uint64_t tokens;     /* of calibration that its inputs were seen with */
    bool fell_back;      /* the method broke down: mse was taken */
};

/* One tensor of the source and what it is written as. Slots that share a tensor have a unit each. */
struct gram_unit {
    const struct gram_tensor *source;
    const struct gram_weight_slot *slot; /* NULL for a tensor that the architecture does not name */
    struct gram_assignment how;
    enum gram_dtype scale_dtype;
    struct gram_tensor
        parts[GRAM_MAX_PARTS];       /* name NULL where there is none; plain tensors have one */
    uint64_t offset[GRAM_MAX_PARTS]; /* in the shard's file */
    int shard;
    float act_scale; /* of a scheme with static activations: of all of them */
    bool is_in_memory; /* made block by block (blocks.h), not from the stream */
    bool shares_source; /* the tensor of the unit before, under another name: a head that was tied */
    struct gram_unit_result result;
};

struct gram_placed_part {
    int64_t unit;
    int part;
};

/* One output file. Its parts are stored by descending element size, so that all are aligned. */
struct gram_shard {
    char name[48];
    int64_t first_unit, n_units;
    struct gram_placed_part *parts; /* in the order of offsets */
    size_t n_parts;
    struct gram_buf header;
    uint64_t bytes; /* header included */
    struct gram_output_file file;
    char hash[GRAM_SHA256_HEX];
};

enum { GRAM_NOTE_SIZE = 160 };

struct gram_layout {
    struct gram_unit *units;
    int64_t n_units;
    struct gram_shard *shards;
    int n_shards;
    uint64_t bytes_before, bytes_after; /* of tensors */
    uint64_t parameters;
    char (*notes)[GRAM_NOTE_SIZE]; /* [n_notes]: what a transform chose in each block; "" where it did not */
    int n_notes;
    struct gram_arena arena;
};

/* Zero bytes are a valid empty one; release with gram_layout_reset() also after a failure. */
enum gram_status gram_layout_make(struct gram_layout *layout, const struct gram_checkpoint *ck,
                                  const struct gram_recipe *recipe,
                                  const struct gram_assignment *assigned, uint64_t max_shard_bytes,
                                  struct gram_error *err);
void gram_layout_reset(struct gram_layout *layout);

/* A hash of everything that the layout says. */
void gram_layout_hash(const struct gram_layout *layout, char hex[GRAM_SHA256_HEX]);

static inline bool gram_unit_has(const struct gram_unit *unit, int part)
{
    return unit->parts[part].name != NULL;
}
/* How users know it: the op, or the tensor's name. */
static inline const char *gram_unit_label(const struct gram_unit *unit)
{
    return unit->slot ? unit->slot->op : unit->source->name;
}

#endif
