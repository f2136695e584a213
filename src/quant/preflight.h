/* What a job will take, known before it starts. */
#ifndef GRAM_QUANT_PREFLIGHT_H
#define GRAM_QUANT_PREFLIGHT_H

#include "quant/job.h"

/*
 * Fill q->need, and tell it to the job. Activations are to spill when they do not fit the limit on memory;
 * GRAM_EINVAL when the job does not fit it even so. The disk is looked at when the output is open.
 */
enum gram_status gram_preflight(struct quantize *q, struct gram_error *err);

/* Most bytes that the process has had in memory so far. */
int64_t gram_memory_peak(void);

#endif
