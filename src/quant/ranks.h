/*
 * Several processes that quantize one model (base/comm.h): each runs its share of the calibration windows,
 * what they have seen is put together (calib/stats.h), and each chooses all codes by that, the same ones
 * everywhere. Rank 0 makes the output; the others need what they have made to run the next block, and keep it
 * in <out>.rank<N>.partial, which goes when rank 0 has published. All do nothing for a process alone.
 */
#ifndef GRAM_QUANT_RANKS_H
#define GRAM_QUANT_RANKS_H

#include "quant/job.h"

/* Another rank than 0 says nothing, and has a folder of its own. GRAM_ENOMEM. */
enum gram_status gram_ranks_enter(struct quantize *q, struct gram_error *err);
/* Before work: refuse what one process has to do, and ranks that do not see the same. GRAM_EUNSUPPORTED,
 * GRAM_EINVAL. */
enum gram_status gram_ranks_check(struct quantize *q, struct gram_error *err);
/* What rank 0 says, everybody does. */
enum gram_status gram_ranks_follow(struct quantize *q, bool *what, struct gram_error *err);
/* Units count as done that every rank has. */
enum gram_status gram_ranks_take_over(struct quantize *q, struct gram_error *err);
/* Rank 0 publishes; then the others forget theirs. */
enum gram_status gram_ranks_publish(struct quantize *q, struct gram_error *err);

#endif
