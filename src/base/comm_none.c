/* Built without MPI: alone, or refused. */
#include <stdlib.h>

#include "base/comm.h"
#include "base/comm_launcher.h"

enum gram_status gram_comm_open(struct gram_comm **out, struct gram_error *err)
{
    *out = NULL;
    return gram_launcher_size() > 1
               ? gram_fail(err, GRAM_EUNSUPPORTED,
                           "mpirun started %d processes, and this gram was built without MPI "
                           "(meson setup -Dmpi=enabled)",
                           gram_launcher_size())
               : GRAM_OK;
}

void gram_comm_close(struct gram_comm **comm)
{
    (void)comm;
}

int gram_comm_rank(const struct gram_comm *comm)
{
    (void)comm;
    return 0;
}

int gram_comm_size(const struct gram_comm *comm)
{
    (void)comm;
    return 1;
}

void gram_comm_break(struct gram_comm *comm)
{
    (void)comm;
}

bool gram_comm_is_broken(const struct gram_comm *comm)
{
    (void)comm;
    return false;
}

enum gram_status gram_comm_sum(struct gram_comm *comm, float *x, int64_t n,
                               const struct gram_job *job, struct gram_error *err)
{
    (void)comm, (void)x, (void)n, (void)job, (void)err;
    return GRAM_OK;
}

enum gram_status gram_comm_sum_f64(struct gram_comm *comm, double *x, int64_t n,
                                   const struct gram_job *job, struct gram_error *err)
{
    (void)comm, (void)x, (void)n, (void)job, (void)err;
    return GRAM_OK;
}

enum gram_status gram_comm_share(struct gram_comm *comm, void *bytes, size_t n,
                                 const struct gram_job *job, struct gram_error *err)
{
    (void)comm, (void)bytes, (void)n, (void)job, (void)err;
    return GRAM_OK;
}
