/*
 * Processes that do one job together, as mpirun started them: every rank has all of the data, does a share of
 * the work and ends up with the same bits. NULL stands for one process alone, which all calls accept.
 * Calls are collective: every rank makes them in the same order, from one thread.
 */
#ifndef GRAM_BASE_COMM_H
#define GRAM_BASE_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gram/job.h>
#include "base/error.h"

struct gram_comm;

/*
 * Join the others. *out is NULL when this process was started alone. GRAM_EUNSUPPORTED when it was not and
 * gram was built without MPI, GRAM_EIO when MPI does not start.
 */
enum gram_status gram_comm_open(struct gram_comm **out, struct gram_error *err);
/*
 * Leave. After a failure here the others wait in vain: nothing is finalized then, and the launcher ends
 * them when this process exits. Accepts NULL and a pointer to NULL.
 */
void gram_comm_close(struct gram_comm **comm);

int gram_comm_rank(const struct gram_comm *comm); /* 0 .. size - 1 */
int gram_comm_size(const struct gram_comm *comm);
/* This rank fails on its own: gram_comm_close() will not wait for the others. */
void gram_comm_break(struct gram_comm *comm);
/* Has it failed, or lost another? */
bool gram_comm_is_broken(const struct gram_comm *comm);

/*
 * x[i] becomes the sum of all ranks' x[i], added in the order of ranks: the same bits everywhere, and in
 * every run. job (or NULL) is asked while waiting: GRAM_ECANCELED. GRAM_EIO when a rank is gone.
 */
enum gram_status gram_comm_sum(struct gram_comm *comm, float *x, int64_t n,
                               const struct gram_job *job, struct gram_error *err);
enum gram_status gram_comm_sum_f64(struct gram_comm *comm, double *x, int64_t n,
                                   const struct gram_job *job, struct gram_error *err);
/* What rank 0 has becomes everybody's. */
enum gram_status gram_comm_share(struct gram_comm *comm, void *bytes, size_t n,
                                 const struct gram_job *job, struct gram_error *err);

#endif
