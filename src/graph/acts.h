/*
 * Activations as int8 by rules that are not the kernels' own (scale = max|x| / 127.5 of a token): by a
 * scale that calibration found, and LLM.int8() (Dettmers et al. 2022), where large inputs stay float.
 */
#ifndef GRAM_GRAPH_ACTS_H
#define GRAM_GRAPH_ACTS_H

#include <stdint.h>
#include "kernels/panels.h"

/* codes[n] = clamp(round half to even(x / scale), -128, 127) */
void gram_acts_static(int8_t *codes, const float *x, int64_t n, float scale);

/*
 * codes[n] = round half to even(x * 127 / m), m the largest magnitude below `outlier`; 0 for inputs from
 * there on. Returns the scale, m / 127; 0 if there is no such input but zeros. Outliers belong to a token
 * here, and to all tokens of a call in bitsandbytes, whose results therefore depend on who is computed
 * together.
 */
float gram_acts_llm_int8(int8_t *codes, const float *x, int64_t n, float outlier);

/*
 * y[r] += sum over inputs k with |x[k]| >= outlier, in order, of x[k] * W[r][k], for the outputs r of panel
 * `panel` of 8-bit codes without groups. x[w->cols], y[up to GRAM_PANEL] of that panel.
 */
void gram_acts_add_outliers(float *y, const float *x, float outlier, const struct gram_int_panels *w,
                            int64_t panel);

#endif
