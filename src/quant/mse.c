/*
 * Scale search: clipping a few large weights often costs less than coarser steps for all the
 * others, the more so the fewer bits there are (Banner, Nahshan, Soudry 2019, "Post training 4-bit
 * quantization", section 3; LLM Compressor's mse observer searches the same way). Symmetric grids
 * have one code more below zero than above, so with 2 or 3 bits a range wider than the weights' may
 * be better too.
 */
#include "quant/method.h"

/* 1, then 1.28 down to 0.32 in steps of 0.02. */
float gram_mse_share(int i)
{
    return i == 0 ? 1.0f : 1.30f - 0.02f * (float)i;
}
