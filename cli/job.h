/* Long jobs: the progress bar and Ctrl-C, handed to the library as a gram_job. */
#ifndef GRAM_CLI_JOB_H
#define GRAM_CLI_JOB_H

#include "command.h"

/* On a terminal only: appears after a second, then at most six times a second. */
struct progress {
    bool is_quiet, is_shown, has_bar;
    double since, stage_since, drawn; /* clock_seconds() */
    uint64_t stage_from;              /* units done when the stage began */
    char stage[32];
};

/* progress must outlive the job. */
struct gram_job progress_job(struct progress *progress, const struct common_options *common);
/* For loops of our own. */
void progress_report(struct progress *progress, const struct gram_progress *report);
/* Take the bar off the terminal; before anything else is printed. */
void progress_end(struct progress *progress);

/* SIGINT and SIGTERM set a flag, the second one ends the process. A reader that has
 * gone and a file that grew too large are errors of write(), not signals. */
void signals_install(void);
/* The signal that was received, 0 for none. */
int signals_received(void);

#endif
