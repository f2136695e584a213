/* The table of schedules. */
#include "train/schedule.h"

#include <math.h>
#include <stdbool.h>

#include "base/named.h"

static const double PI = 3.14159265358979323846;

static bool is_warming(const struct gram_schedule_options *o, int64_t step)
{
    return step < o->warmup;
}

static double warm(const struct gram_schedule_options *o, int64_t step)
{
    return (double)step / (double)(o->warmup > 1 ? o->warmup : 1);
}

/* How much of the time after the warm-up is over, 0..1 and beyond. */
static double progress(const struct gram_schedule_options *o, int64_t step)
{
    const int64_t rest = o->total - o->warmup;
    return (double)(step - o->warmup) / (double)(rest > 1 ? rest : 1);
}

static double constant(const struct gram_schedule_options *o, int64_t step)
{
    return is_warming(o, step) ? warm(o, step) : 1.0;
}

static double linear(const struct gram_schedule_options *o, int64_t step)
{
    return is_warming(o, step) ? warm(o, step) : fmax(0.0, 1.0 - progress(o, step));
}

static double cosine(const struct gram_schedule_options *o, int64_t step)
{
    if (is_warming(o, step))
        return warm(o, step);
    return fmax(0.0, 0.5 * (1.0 + cos(PI * o->cycles * 2.0 * progress(o, step))));
}

static double cosine_restarts(const struct gram_schedule_options *o, int64_t step)
{
    const double done = progress(o, step);

    if (is_warming(o, step))
        return warm(o, step);
    return done >= 1.0 ? 0.0 : fmax(0.0, 0.5 * (1.0 + cos(PI * fmod(o->cycles * done, 1.0))));
}

static double polynomial(const struct gram_schedule_options *o, int64_t step)
{
    if (is_warming(o, step))
        return warm(o, step);
    if (step > o->total)
        return o->final;
    return (1.0 - o->final) * pow(1.0 - progress(o, step), o->power) + o->final;
}

static double inverse_sqrt(const struct gram_schedule_options *o, int64_t step)
{
    if (is_warming(o, step))
        return warm(o, step);
    const double scale = o->warmup > 0 ? (double)o->warmup : 1e4;
    return 1.0 / sqrt((double)(step + (o->warmup > 0 ? 0 : 1)) / scale);
}

static double stepwise(const struct gram_schedule_options *o, int64_t step)
{
    return pow(o->gamma, (double)(step / o->every));
}

static double exponential(const struct gram_schedule_options *o, int64_t step)
{
    return pow(o->gamma, (double)step);
}

static double cosine_annealing(const struct gram_schedule_options *o, int64_t step)
{
    return o->final + (1.0 - o->final) * 0.5 * (1.0 + cos(PI * (double)step / (double)o->total));
}

/* Smith, Topin 2019, with torch's defaults: up from 1/25 in 30 % of the steps, down to 1/25/10^4;
 * the base rate is the greatest. */
static double one_cycle(const struct gram_schedule_options *o, int64_t step)
{
    const double low = 1.0 / 25.0, last = low / 1e4;
    const double up = 0.3 * (double)o->total - 1.0, end = (double)o->total - 1.0;
    const double at = (double)step;
    const double from = at <= up ? low : 1.0, to = at <= up ? 1.0 : last;
    const double done = at <= up ? at / up : (at - up) / (end - up);
    return to + (from - to) / 2.0 * (1.0 + cos(PI * done));
}

static const struct gram_schedule schedules[] = {
    {"constant", "the base rate after the warm-up", constant},
    {"linear", "down to 0 at the last step", linear},
    {"cosine", "half a cosine down to 0", cosine},
    {"cosine_restarts", "a cosine that starts again several times", cosine_restarts},
    {"polynomial", "a power of the time that is left", polynomial},
    {"inverse_sqrt", "falls with the root of the step", inverse_sqrt},
    {"step", "a factor every so many steps", stepwise},
    {"exponential", "a factor every step", exponential},
    {"cosine_annealing", "half a cosine down to a final rate, without warm-up", cosine_annealing},
    {"one_cycle", "up and far down, both along cosines", one_cycle},
    {NULL, NULL, NULL},
};

const struct gram_schedule *gram_schedules(void)
{
    return schedules;
}

enum gram_status gram_schedule_find(const struct gram_schedule **out, const char *name,
                                    struct gram_error *err)
{
    size_t at;

    GRAM_TRY(gram_named_find(&at, schedules, sizeof schedules[0], "schedule", name, err));
    *out = &schedules[at];
    return GRAM_OK;
}
