/*
 * What is printed: results on stdout, talk on stderr. Sentences are one line "gram: ..." with
 * control bytes escaped.
 */
#ifndef GRAM_CLI_OUTPUT_H
#define GRAM_CLI_OUTPUT_H

#include <jansson.h>
#include <stdint.h>
#include "command.h"

/* Write the sentence to *err and return `status`, as the library does for its own failures. */
enum gram_status refuse(struct gram_error *err, enum gram_status status, const char *format, ...)
    GRAM_PRINTF(3, 4);
/* The same for a failed system call: "what: why", status by errno. */
enum gram_status refuse_errno(struct gram_error *err, const char *what);

/* gram: <sentence> */
void complain(const char *format, ...) GRAM_PRINTF(1, 2);
/* Print the sentence of a failure; returns the exit code that fits it. */
int report_failure(const struct gram_error *err);
/* One line of talk, left out under --quiet. */
void say(const struct common_options *common, const char *format, ...) GRAM_PRINTF(2, 3);

/* Print `object` and a newline on stdout and release it. NULL (memory ran out) is a failure.
 * Returns an exit code. */
int print_json(json_t *object);
/* A number, or null if it is not finite. */
json_t *json_number(double value);
/* A string; bytes beyond ASCII are replaced if it is not UTF-8. */
json_t *json_text(const char *text);

/* A size for people, "4.13 GB"; the buffer is returned. */
#define HUMAN_SIZE 24
const char *human_bytes(char out[HUMAN_SIZE], uint64_t bytes);
/* 1234567 as "1,234,567" */
const char *human_count(char out[HUMAN_SIZE], uint64_t n);

/* Flush stdout; false, after one sentence, if something was lost. Later calls are then silent. */
bool output_flush(void);
/* The last thing main() does: a lost result turns EXIT_DONE into EXIT_FAILED. */
int output_close(int code);

/* Seconds on a clock that only goes forward. */
double clock_seconds(void);

#endif
