/* The bar: "quantize  37 %  1.2 GB of 3.2 GB  410 MB/s  4.9 s left  layers.9.mlp.up" */
#include "job.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"

static const double first_after = 1.0, between = 1.0 / 6;

static void amount(char out[HUMAN_SIZE], double value, const char *unit)
{
    if (strcmp(unit, "B") == 0)
        human_bytes(out, (uint64_t)value);
    else if (value < 100)
        snprintf(out, HUMAN_SIZE, "%.3g", value);
    else
        human_count(out, (uint64_t)value);
}

static void human_time(char out[HUMAN_SIZE], double seconds)
{
    if (seconds < 90)
        snprintf(out, HUMAN_SIZE, "%.1f s", seconds);
    else if (seconds < 5400)
        snprintf(out, HUMAN_SIZE, "%.0f min", seconds / 60);
    else
        snprintf(out, HUMAN_SIZE, "%.1f h", seconds < 3.6e6 ? seconds / 3600 : 999.0);
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void draw(struct progress *p, const struct gram_progress *r, double now)
{
    const double spent = now - p->stage_since;
    const double rate = spent > 0 ? (double)(r->done - p->stage_from) / spent : 0;
    const char *unit = strcmp(r->unit, "B") == 0 ? "" : r->unit;
    char done[HUMAN_SIZE], total[HUMAN_SIZE], speed[HUMAN_SIZE], left[HUMAN_SIZE], line[512];

    amount(done, (double)r->done, r->unit);
    amount(speed, rate, r->unit);
    if (r->total > 0) {
        amount(total, (double)r->total, r->unit);
        human_time(left, rate > 0 ? (double)(r->total - r->done) / rate : 0);
        snprintf(line, sizeof line, "%s %3.0f %%  %s of %s%s%s  %s%s%s/s  %s left  %s", r->stage,
                 100.0 * (double)r->done / (double)r->total, done, total, *unit ? " " : "", unit,
                 speed, *unit ? " " : "", unit, left, r->item);
    } else {
        snprintf(line, sizeof line, "%s  %s%s%s  %s%s%s/s  %s", r->stage, done, *unit ? " " : "",
                 unit, speed, *unit ? " " : "", unit, r->item);
    }
    for (char *c = line; *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, line);
    fflush(stderr);
    p->is_shown = true;
    p->drawn = now;
}

void progress_report(struct progress *p, const struct gram_progress *r)
{
    if (!p->has_bar)
        return;
    const double now = clock_seconds();
    if (strncmp(p->stage, r->stage, sizeof p->stage - 1) != 0) {
        snprintf(p->stage, sizeof p->stage, "%s", r->stage);
        p->stage_since = now;
        p->stage_from = r->done;
    }
    if (now - p->since >= first_after && now - p->drawn >= between && r->done >= p->stage_from &&
        (r->total == 0 || r->done <= r->total))
        draw(p, r, now);
}

void progress_end(struct progress *p)
{
    if (p->is_shown)
        fputs("\r\033[K", stderr);
    p->is_shown = false;
}

static void on_progress(void *user, const struct gram_progress *report)
{
    progress_report(user, report);
}

static void on_warning(void *user, const char *sentence)
{
    struct progress *p = user;

    progress_end(p);
    if (!p->is_quiet)
        complain("warning: %s", sentence);
}

/* "needs about 1.2 GB of memory, 640 MB of disk, 4 min" */
static void on_estimate(void *user, const struct gram_estimate *e)
{
    const struct progress *p = user;
    char memory[HUMAN_SIZE], disk[HUMAN_SIZE], seconds[HUMAN_SIZE];

    if (!p->has_bar)
        return;
    human_time(seconds, e->seconds);
    fprintf(stderr, "needs about %s of memory, %s of disk, %s\n", human_bytes(memory, e->memory),
            human_bytes(disk, e->disk), seconds);
}

static bool is_cancelled(void *user)
{
    (void)user;
    return signals_received() != 0;
}

struct gram_job progress_job(struct progress *p, const struct common_options *common)
{
    *p = (struct progress){
        .is_quiet = common->quiet,
        .has_bar = !common->quiet && !common->no_progress && isatty(STDERR_FILENO) == 1,
        .since = clock_seconds(),
    };
    return (struct gram_job){on_progress, on_warning, is_cancelled, p, on_estimate};
}
