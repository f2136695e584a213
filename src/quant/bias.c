#include "quant/bias.h"

void gram_correct_bias(float *bias, const struct gram_coded *coded, const float *original, const float *mean,
                       const float *wanted, float *row)
{
    for (int64_t r = 0; r < coded->rows; r++) {
        const float *w = original + r * coded->cols;
        double shift = 0;

        gram_coded_row(coded, r, row);
        for (int64_t k = 0; k < coded->cols; k++)
            shift += (double)w[k] * (double)wanted[k] - (double)row[k] * (double)mean[k];
        bias[r] = (float)((double)bias[r] + shift);
    }
}
