/* What every long job takes: a way to report and a way to be stopped. */
#ifndef GRAM_JOB_H
#define GRAM_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <gram/api.h>

GRAM_BEGIN_DECLS

/* One report of a running job. Strings are borrowed for the duration of the callback. */
struct gram_progress {
    const char *stage; /* "quantize", "eval", "check" */
    const char *item;  /* what is being worked on: a tensor, a window; may be "" */
    uint64_t done;     /* in `unit`s, 0..total */
    uint64_t total;    /* 0 if not known */
    const char *unit;  /* "B", "tokens", "tensors" */
};

/* What a job will take. */
struct gram_estimate {
    uint64_t memory; /* bytes, at the peak of the process */
    uint64_t disk;   /* bytes that are written, those that are removed again included */
    double seconds;
};

/*
 * Callbacks are made on the thread that called the job, never concurrently.
 *   progress   NULL for none; called at most a few hundred times a second
 *   warn       NULL for none; one sentence, no newline
 *   estimate   NULL for none; called once, before the work starts, by jobs that say so
 *   cancelled  NULL for never; polled between units of work (well under a second apart); once it
 *              returns true the job ends with GRAM_ECANCELED and nothing half-written
 */
struct gram_job {
    void (*progress)(void *user, const struct gram_progress *report);
    void (*warn)(void *user, const char *sentence);
    bool (*cancelled)(void *user);
    void *user;
    void (*estimate)(void *user, const struct gram_estimate *estimate);
};

GRAM_END_DECLS
#endif
