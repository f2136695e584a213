/*
 * Files of records: *.jsonl, one a line; *.json, a list of them; anything else is one text. A byte order mark
 * and blank lines are passed over.
 */
#ifndef GRAM_CALIB_RECORD_FILE_H
#define GRAM_CALIB_RECORD_FILE_H

#include "calib/record.h"

struct gram_record_reader {
    /* A record; all of a file without records. A status other than GRAM_OK ends the reading. */
    enum gram_status (*record)(void *user, const struct gram_record *record, const char *where,
                               struct gram_error *err);
    enum gram_status (*text)(void *user, const char *text, size_t n, const char *where,
                             struct gram_error *err);
    void *user;
    bool skip_bad;          /* pass over records that are GRAM_EFORMAT ... */
    int64_t skipped;        /* ... counted here ... */
    struct gram_error first; /* ... and what the first one was */
};

/* GRAM_EFORMAT names the line of the first bad record, unless such are skipped. */
enum gram_status gram_record_file_read(struct gram_record_reader *reader, const char *path,
                                       struct gram_error *err);

#endif
