/*
 * The ranks of an MPI job. Sums do not use MPI's reductions, whose order is the implementation's: of every
 * chunk each rank receives one piece from all, adds them in the order of ranks, and shows the others the sum.
 */
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/comm.h"
#include "base/comm_launcher.h"

enum { PIECE = 1 << 16 }; /* elements that a rank adds at a time */

struct gram_comm {
    int rank, size;
    bool is_broken;
    char *chunk, *pieces; /* [size][PIECE] of 8 bytes each: what is sent, what came */
};

static void close_mpi(const struct gram_comm *comm)
{
    if (!comm->is_broken)
        MPI_Finalize();
}

static enum gram_status open_comm(struct gram_comm *comm, struct gram_error *err)
{
    int provided;

    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return gram_fail(err, GRAM_EIO, "MPI does not start");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &comm->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &comm->size);
    comm->chunk = calloc((size_t)comm->size, PIECE * sizeof(double));
    comm->pieces = calloc((size_t)comm->size, PIECE * sizeof(double));
    if (comm->chunk && comm->pieces)
        return GRAM_OK;
    comm->is_broken = true;
    return gram_fail_memory(err, "the exchange between ranks");
}

enum gram_status gram_comm_open(struct gram_comm **out, struct gram_error *err)
{
    *out = NULL;
    if (gram_launcher_size() == 1)
        return GRAM_OK;
    struct gram_comm *comm = calloc(1, sizeof *comm);
    if (!comm)
        return gram_fail_memory(err, "the exchange between ranks");
    const enum gram_status status = open_comm(comm, err);
    *out = comm;
    if (status != GRAM_OK)
        gram_comm_close(out);
    return status;
}

void gram_comm_close(struct gram_comm **comm)
{
    if (!comm || !*comm)
        return;
    close_mpi(*comm);
    free((*comm)->chunk);
    free((*comm)->pieces);
    free(*comm);
    *comm = NULL;
}

int gram_comm_rank(const struct gram_comm *comm)
{
    return comm ? comm->rank : 0;
}

int gram_comm_size(const struct gram_comm *comm)
{
    return comm ? comm->size : 1;
}

void gram_comm_break(struct gram_comm *comm)
{
    if (comm)
        comm->is_broken = true;
}

bool gram_comm_is_broken(const struct gram_comm *comm)
{
    return comm && comm->is_broken;
}

static enum gram_status failed(struct gram_comm *comm, struct gram_error *err)
{
    comm->is_broken = true;
    return gram_fail(err, GRAM_EIO, "rank %d of %d has lost another rank", comm->rank, comm->size);
}

/* Until the exchange is over. Asking in turns keeps Ctrl-C alive, and shares a core with other ranks. */
static enum gram_status finish(struct gram_comm *comm, int started, MPI_Request *request,
                               const struct gram_job *job, struct gram_error *err)
{
    int is_done = 0;

    if (started != MPI_SUCCESS)
        return failed(comm, err);
    for (;;) {
        if (MPI_Test(request, &is_done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return failed(comm, err);
        if (is_done)
            return GRAM_OK;
        if (job && job->cancelled && job->cancelled(job->user)) {
            comm->is_broken = true;
            return gram_fail(err, GRAM_ECANCELED, "interrupted while waiting for another rank");
        }
        sched_yield();
    }
}

typedef void add_fn(void *to, const void *x, int n);

static void add_f32(void *to, const void *x, int n)
{
    float *sum = to;
    const float *more = x;
    for (int i = 0; i < n; i++)
        sum[i] += more[i];
}

static void add_f64(void *to, const void *x, int n)
{
    double *sum = to;
    const double *more = x;
    for (int i = 0; i < n; i++)
        sum[i] += more[i];
}

/* comm->chunk, filled with `piece` elements for each rank, is replaced by the sums. */
static enum gram_status sum_chunk(struct gram_comm *comm, int piece, MPI_Datatype type, size_t size,
                                  add_fn *add, const struct gram_job *job, struct gram_error *err)
{
    MPI_Request request;
    const size_t bytes = (size_t)piece * size;

    int started = MPI_Ialltoall(comm->chunk, piece, type, comm->pieces, piece, type, MPI_COMM_WORLD,
                                &request);
    GRAM_TRY(finish(comm, started, &request, job, err));
    for (int r = 1; r < comm->size; r++)
        add(comm->pieces, comm->pieces + (size_t)r * bytes, piece);
    started = MPI_Iallgather(comm->pieces, piece, type, comm->chunk, piece, type, MPI_COMM_WORLD,
                             &request);
    return finish(comm, started, &request, job, err);
}

static enum gram_status sum(struct gram_comm *comm, char *x, int64_t n, MPI_Datatype type,
                            size_t size, add_fn *add, const struct gram_job *job,
                            struct gram_error *err)
{
    if (!comm)
        return GRAM_OK;
    for (int64_t done = 0; done < n;) {
        const int64_t now = gram_min_i64(n - done, (int64_t)comm->size * PIECE);
        const int piece = (int)gram_ceil_div(now, comm->size);
        memset(comm->chunk, 0, (size_t)comm->size * (size_t)piece * size);
        memcpy(comm->chunk, x + (size_t)done * size, (size_t)now * size);
        GRAM_TRY(sum_chunk(comm, piece, type, size, add, job, err));
        memcpy(x + (size_t)done * size, comm->chunk, (size_t)now * size);
        done += now;
    }
    return GRAM_OK;
}

enum gram_status gram_comm_sum(struct gram_comm *comm, float *x, int64_t n,
                               const struct gram_job *job, struct gram_error *err)
{
    return sum(comm, (char *)x, n, MPI_FLOAT, sizeof *x, add_f32, job, err);
}

enum gram_status gram_comm_sum_f64(struct gram_comm *comm, double *x, int64_t n,
                                   const struct gram_job *job, struct gram_error *err)
{
    return sum(comm, (char *)x, n, MPI_DOUBLE, sizeof *x, add_f64, job, err);
}

enum gram_status gram_comm_share(struct gram_comm *comm, void *bytes, size_t n,
                                 const struct gram_job *job, struct gram_error *err)
{
    enum { MOST = 1 << 24 };
    char *at = bytes;

    for (size_t done = 0; comm && done < n;) {
        const int now = (int)gram_min_i64((int64_t)(n - done), MOST);
        MPI_Request request;
        const int started = MPI_Ibcast(at + done, now, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
        GRAM_TRY(finish(comm, started, &request, job, err));
        done += (size_t)now;
    }
    return GRAM_OK;
}
