/*
 * The certificate, gram.json: what was made from what, how, and what it cost. Only what was
 * measured is in it; no times, host names or thread counts, so that the same job gives the same
 * bytes.
 */
#ifndef GRAM_QUANT_CERTIFICATE_H
#define GRAM_QUANT_CERTIFICATE_H

#include "calib/corpus.h"
#include "quant/layout.h"
#include "quant/sidecar.h"
#include "quant/transform.h"

/*
 * {
 *   "gram": version, "kind": "quantize",
 *   "source": {"name", "architecture", "files": [{"name", "bytes", "sha256"}]},
 *   "recipe": {"scheme", "method", "options", "rules": [{"pattern", "scheme", "method", "options"}]},
 *   "transform": {"name", "options", "blocks": [what was chosen in each]},
 *   "calibration": {"tokens", "windows", "records", "sha256" (of ids and cuts), "sequential",
 *     "drift_corrected", "observer" (of static activations), "kept" (statistics of the float model)},
 *   "totals": {"linears", "kept", "fallbacks", "parameters", "bytes_before", "bytes_after",
 *     "bits_per_weight"},
 *   "tensors" (what was changed): [{"name", "op", "scheme", "method", "scale_dtype", "shape", "mse",
 *     "relative_error", "snr_db", "output_mse", "tokens", "damping", "fallback", "clipped_scales",
 *     "nonfinite"}],
 *   "kept" (what was not): [name],
 *   "files" (all others of the folder): [{"name", "bytes", "sha256"}]
 * }
 * What there was no such thing of is absent. options hold all that the method or transform takes, also
 * where they are the defaults. output_mse is the mean over calibration tokens and outputs of the squared
 * error of the output, relative_error is |w - w'| / |w| (Frobenius norms), snr_db = -20 log10 of it; absent
 * where it is not finite.
 */
struct gram_certificate {
    const char *source_name;
    const struct gram_checkpoint *ck;
    char (*source_hash)[GRAM_SHA256_HEX]; /* of each source file */
    const struct gram_recipe *recipe;
    const struct gram_layout *layout;
    const struct gram_written *written;
    uint64_t linears, kept;
    const struct gram_transform *transform; /* NULL: none */
    const struct gram_corpus *corpus;       /* NULL: not calibrated */
    const struct gram_transform_options *transform_options;
    const struct gram_quantize_options *asked;
    const char *observer; /* of static activations; NULL: there are none */
};

/* *out is yours, free() it. */
enum gram_status gram_certificate_print(const struct gram_certificate *certificate, char **out,
                                        struct gram_error *err);

#endif
