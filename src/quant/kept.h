/*
 * Statistics of the float model that are collected once and kept in a file (calib/stats_file.h):
 * the text is run through the float blocks before anything is quantized, or was by an earlier job;
 * then linears are solved by what the file says, and no block is run any more.
 */
#ifndef GRAM_QUANT_KEPT_H
#define GRAM_QUANT_KEPT_H

#include "quant/blocks.h"

/*
 * With the option `stats`: open the file and take over how much text it is of. With `save_stats`:
 * open it too if it is there and is of this model and text, else plan to collect. GRAM_EINVAL: it
 * is of another model, text or version, or cannot say what the recipe asks; GRAM_EEXIST: something
 * else has this name and not force.
 */
enum gram_status gram_kept_open(struct gram_blocks *blocks, struct gram_error *err);

/* Collect what is planned: run the float model over the text, write the file and open it. */
enum gram_status gram_kept_collect(struct gram_blocks *blocks, struct gram_error *err);

/* Statistics of what the linear `node` of a block reads, borrowed from the file. */
enum gram_status gram_kept_find(const struct gram_blocks *blocks, const struct gram_block *block,
                                const struct gram_node *node, unsigned needs, struct gram_input_stats *stats,
                                struct gram_error *err);
/* Its pages are not needed any more. */
void gram_kept_release(const struct gram_blocks *blocks, const struct gram_block *block);

#endif
