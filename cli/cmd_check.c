/* gram check: is everything about a model in order? */
#include "job.h"
#include "load.h"
#include "output.h"

struct check_options {
    struct common_options common;
};

static int run(const struct invocation *in)
{
    struct gram_check_report r = {0};
    struct gram_error err = {0};
    struct loaded loaded = {0};
    struct progress progress;
    const struct gram_job job = progress_job(&progress, in->common);
    char bytes[HUMAN_SIZE];

    enum gram_status st = load_runtime(&loaded, in->common, &err);
    if (st == GRAM_OK)
        st = gram_check(&r, loaded.runtime, in->operands[0], &job, &err);
    progress_end(&progress);
    loaded_close(&loaded);
    if (st != GRAM_OK)
        return report_failure(&err);
    if (in->common->json)
        return print_json(json_pack("{s:b, s:I, s:I, s:I}", "ok", 1, "tensors",
                                    (json_int_t)r.tensors, "bytes", (json_int_t)r.bytes, "hashes",
                                    (json_int_t)r.hashes));
    printf("ok: %llu tensors, %s", (unsigned long long)r.tensors, human_bytes(bytes, r.bytes));
    if (r.hashes > 0)
        printf(", %llu hashes as in gram.json", (unsigned long long)r.hashes);
    putchar('\n');
    return EXIT_DONE;
}

const struct command command_check = {
    .name = "check",
    .summary = "open everything and say what is wrong",
    .description = "Reads the configuration, every weight and the tokenizer of a model, compares "
                   "shapes and ids, "
                   "looks for NaN and Inf, and verifies the hashes in gram.json where it exists. "
                   "Prints one line "
                   "that starts with 'ok', or the first thing that is wrong.",
    .operands =
        (const struct operand[]){
            {"MODEL|FILE", "model, or one .safetensors, tokenizer.json or tokenizer.model file",
             false},
            {0}},
    .examples = (const struct example[]){{"gram check llama-1b-w4", "before it is handed on"}, {0}},
    .options_size = sizeof(struct check_options),
    .run = run,
};
