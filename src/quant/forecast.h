/* How long a job will take. */
#ifndef GRAM_QUANT_FORECAST_H
#define GRAM_QUANT_FORECAST_H

#include "quant/blocks.h"

/* Seconds from now. Times slices of work, which takes some tens of milliseconds itself. */
double gram_forecast_seconds(const struct quantize *q);

#endif
