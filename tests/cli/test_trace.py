"""gram trace: shapes, patterns, what it refuses, and the golden activations."""
import os
import resource

from gramcli import Case, gram, main, model, read_npy, shared, write_npy


class Trace(Case):
    def setUp(self):
        super().setUp()
        self.info = gram("inspect", model(), "--tensors", "--json").json
        self.ids = write_npy(self.path("ids.npy"), [1, 5, 9, 3, 7, 2], [2, 3])

    def trace(self, *args, ids=None, out="out"):
        return gram("trace", model(), "--tokens", ids or self.ids, "-o", self.path(out), *args)

    def test_logits_and_hidden_states(self):
        r = self.assertDone(self.trace("--json")).json
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["hidden_states.npy", "logits.npy"])
        logits, _ = read_npy(self.path("out", "logits.npy"))
        hidden, _ = read_npy(self.path("out", "hidden_states.npy"))
        self.assertEqual(logits, (2, 3, self.info["vocab"]))
        self.assertEqual(hidden, (self.info["layers"] + 1, 2, 3, self.info["hidden"]))
        self.assertEqual({a["name"]: tuple(a["shape"]) for a in r["arrays"]},
                         {"logits": logits, "hidden_states": hidden})

    def test_a_batch_is_its_sequences_one_by_one(self):
        self.assertDone(self.trace())
        one = write_npy(self.path("one.npy"), [3, 7, 2], [3], "<i4", version=2)
        self.assertDone(self.trace(ids=one, out="one"))
        shape, batch = read_npy(self.path("out", "logits.npy"))
        single_shape, single = read_npy(self.path("one", "logits.npy"))
        self.assertEqual(single_shape, (1, *shape[1:]))
        self.assertEqual(batch[len(single):], single)
        _, batch = read_npy(self.path("out", "hidden_states.npy"))
        _, single = read_npy(self.path("one", "hidden_states.npy"))
        step = len(single) // (self.info["layers"] + 1)
        for i in range(self.info["layers"] + 1):
            self.assertEqual(batch[(2 * i + 1) * step:(2 * i + 2) * step],
                             single[i * step:(i + 1) * step])

    def test_only_named_ops(self):
        self.assertDone(self.trace("--only", "layers.0.attn.[qk]", "--only", "norm"))
        self.assertEqual(sorted(os.listdir(self.path("out"))),
                         ["layers.0.attn.k.npy", "layers.0.attn.q.npy", "norm.npy"])
        shape, _ = read_npy(self.path("out", "norm.npy"))
        self.assertEqual(shape, (2, 3, self.info["hidden"]))
        self.assertFails(self.trace("--only", "no.such", out="new"), 2, "no.such")
        self.assertFalse(os.path.exists(self.path("new")))

    def test_files_are_replaced_only_by_force(self):
        self.assertDone(self.trace())
        self.assertFails(self.trace(), 1, "--force")
        self.assertDone(self.trace("--force"))
        self.assertDone(self.trace("--only", "embed"))
        with open(self.path("file"), "w"):
            pass
        self.assertFails(self.trace(out="file"), 1, "not a directory")

    def test_bad_ids_are_refused_and_nothing_is_left(self):
        vocab = self.info["vocab"]
        cases = (
            ([1, vocab], [2], "<i8", "the vocabulary has %d" % vocab),
            ([1, -1], [2], "<i8", "not a token id"),
            ([1, 2 ** 40], [2], "<i8", "not a token id"),
            ([1.0, 2.0], [2], "<f4", "int32 or int64"),
            ([1, 2], [2], "<u2", "int32 or int64"),
            ([1, 2], [1, 1, 2], "<i8", "rank"),
            ([], [0], "<i8", "empty"),
            ([1, 2], [3], "<i8", "the shape needs"),
            ([1, 2], [1], "<i8", "the shape needs"),
        )
        for values, shape, kind, part in cases:
            with self.subTest(part=part, shape=shape):
                ids = write_npy(self.path("bad.npy"), values, shape, kind)
                self.assertFails(self.trace(ids=ids), 1, part)
        self.assertFails(self.trace(ids=self.folder), 1, "regular")
        self.assertFails(self.trace(ids="/dev/null"), 1, "regular")
        self.assertFails(self.trace(ids=self.path("none")), 1, "none")
        self.assertEqual(sorted(os.listdir(self.folder)), ["bad.npy", "ids.npy"])

    def test_a_file_cut_anywhere_is_refused(self):
        with open(self.ids, "rb") as f:
            data = f.read()
        for n in (0, 5, 9, 40, len(data) - 1):
            with open(self.path("cut.npy"), "wb") as f:
                f.write(data[:n])
            self.assertFails(self.trace(ids=self.path("cut.npy")), 1, "cut.npy")

    def test_a_full_disk_leaves_nothing(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        r = gram("trace", model(), "--tokens", self.ids, "-o", self.path("out"), preexec_fn=limit)
        self.assertNotEqual(r.code, 0)
        self.assertFalse(os.path.exists(self.path("out")), r.err)

    def test_golden_activations(self):
        for case in ("llama2_mha", "qwen3_tied", "mistral_swa8"):
            folder = shared("golden/models/" + case)
            self.assertDone(gram("trace", folder + "/hf", "--tokens", folder + "/input_ids.npy", "-o",
                                 self.path(case)))
            for name in ("logits.npy", "hidden_states.npy"):
                shape, ours = read_npy(self.path(case, name))
                expected_shape, expected = read_npy(os.path.join(folder, name))
                self.assertEqual(shape, expected_shape)
                self.assertLess(max(abs(a - b) for a, b in zip(ours, expected)), 1e-4, (case, name))


if __name__ == "__main__":
    main()
