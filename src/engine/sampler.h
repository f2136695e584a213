/* The filters of the sampler, apart from drawing, so that tests can hold them against a reference. */
#ifndef GRAM_ENGINE_SAMPLER_H
#define GRAM_ENGINE_SAMPLER_H

#include <gram/sample.h>

struct gram_candidate {
    float logit; /* after temperature */
    int32_t id;
};

/*
 * Apply top-k, top-p and min-p to the n (>= 1) candidates in `heap` (any order; destroyed). total is the sum
 * of exp(logit - best) over all tokens, where some that cannot survive were left out; 0: over the heap. kept
 * [n] receives the survivors, best first, lower id first among equals. Returns how many, at least 1.
 */
int64_t gram_sampler_filter(const struct gram_sampler_options *options, struct gram_candidate *heap,
                            int64_t n, double total, struct gram_candidate *kept);

#endif
