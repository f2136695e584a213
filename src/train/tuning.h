/*
 * One call of gram_tune on its way: what was asked, what was opened, and where it stands. tune.c
 * runs it; tune_options.c, tune_data.c, tune_name.c and tune_report.c each hold one part.
 */
#ifndef GRAM_TRAIN_TUNING_H
#define GRAM_TRAIN_TUNING_H

#include <gram/tune.h>

#include "train/budget.h"
#include "train/export.h"
#include "train/teacher.h"
#include "train/trainer.h"

struct gram_tune_method {
    const struct gram_choice *about;
    bool is_lora;         /* pairs are trained */
    bool is_qat;          /* all weights are, on a grid */
    bool is_steps;        /* of a quantized model, alone */
    const char *mold;     /* linears are made of what is trained, as mold.h says; NULL: not */
    bool writes_adapter;
    const char *scheme;   /* of a float source, unless told; NULL: it takes none */
    double lr;            /* unless told */
};

struct gram_tuning {
    struct gram_runtime *rt;
    const char *in, *out;
    struct gram_tune_options o; /* with every default filled in */
    const struct gram_job *job;
    const struct gram_tune_method *method;

    struct gram_checkpoint ck, start; /* start: if o.start is set */
    struct gram_dataset data, held; /* held.n is 0: nothing was held out */
    struct gram_lora_options lora;
    struct gram_scheme scheme; /* of o.scheme, if that is set */
    struct gram_trainer_options trainer_options;
    struct gram_export export;
    struct gram_budget budget;
    struct gram_learner learner;
    struct gram_teacher teacher;
    struct gram_trainer trainer;
    struct gram_keeper keeper;
    struct gram_output *output;
    int64_t resumed_from;
    char name[GRAM_SHA256_HEX]; /* of the job: a hash of all that it depends on */
};

void gram_tuning_warn(const struct gram_tuning *t, const char *sentence);
/* Find the method, fill in every default, refuse what contradicts itself. GRAM_EINVAL,
 * GRAM_EUNSUPPORTED. */
enum gram_status gram_tuning_settle_options(struct gram_tuning *t, struct gram_error *err);
/* Needs ck: the scheme, and whether the method can begin with the source. */
enum gram_status gram_tuning_settle_source(struct gram_tuning *t, struct gram_error *err);
/* Adapter or model, and the base that was made on the way; all but gram.json. */
enum gram_status gram_tuning_write(struct gram_tuning *t, struct gram_error *err);
/* Needs ck. Fills data and held. */
enum gram_status gram_tuning_open_data(struct gram_tuning *t, struct gram_error *err);
/* Needs ck. GRAM_ENOMEM: not even the weights fit. */
enum gram_status gram_tuning_check_memory(const struct gram_tuning *t, struct gram_error *err);
/* Needs data, learner and output. Fills budget and the limits of the trainer, and places the states. */
enum gram_status gram_tuning_plan_memory(struct gram_tuning *t, struct gram_error *err);
/* NULL when memory ran out. */
json_t *gram_tuning_print_memory(const struct gram_tuning *t);
json_t *gram_tuning_print_options(const struct gram_tuning *t);
/* Needs data and the planned steps. */
enum gram_status gram_tuning_name(struct gram_tuning *t, struct gram_error *err);
enum gram_status gram_tuning_certify(const struct gram_tuning *t, struct gram_error *err);
/* tune_aims.c: fill in what the trainer lessens, and open the reference if there is one. */
enum gram_status gram_tuning_open_aims(struct gram_tuning *t, struct gram_error *err);
void gram_tuning_fill_report(const struct gram_tuning *t, struct gram_tune_report *r);

#endif
