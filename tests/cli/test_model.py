"""Every command on a small real model: what it prints, in words and as JSON."""
import json
import os

from gramcli import Case, gram, main, model, shared

TEXT = ("Once upon a time there was a king who lived in a house by the sea. One day he met a dog. "
        "The dog was old and the king was kind, and they went home together.\n")


class Inspect(Case):
    def test_json_holds_model_tensors_and_costs(self):
        r = self.assertDone(gram("inspect", model(), "--json")).json
        self.assertEqual(r["architecture"], "llama")
        self.assertEqual(r["bytes"], sum(t["bytes"] for t in r["tensors"]))
        self.assertEqual(r["bytes"], sum(d["bytes"] for d in r["dtypes"].values()))
        costs = {c["scheme"]: c["bytes"] for c in r["costs"]}
        self.assertLess(costs["w8a16"], costs["bf16"])
        for t in r["tensors"]:
            self.assertGreaterEqual(t["absmax"], 0)
            self.assertEqual(t["nonfinite"], 0)
            self.assertTrue(0 <= t["outliers"] <= 1)

    def test_words(self):
        r = self.assertDone(gram("inspect", model()))
        for word in ("architecture", "parameters", "dtype", "bits/weight", "heaviest tails"):
            self.assertIn(word, r.text)
        names = [t["name"] for t in gram("inspect", model(), "--json").json["tensors"]]
        for flags in (["--tensors"], ["--stats"]):
            text = self.assertDone(gram("inspect", model(), *flags)).text
            self.assertTrue(all(name in text for name in names))

    def test_one_file(self):
        path = os.path.join(model(), "model.safetensors")
        r = self.assertDone(gram("inspect", path, "--json")).json
        self.assertNotIn("architecture", r)
        self.assertGreater(len(r["tensors"]), 10)
        self.assertDone(gram("inspect", path))


class Check(Case):
    def test_a_good_model_is_ok(self):
        self.assertRegex(self.assertDone(gram("check", model())).text, r"^ok: \d+ tensors, ")
        r = self.assertDone(gram("check", model(), "--json")).json
        self.assertTrue(r["ok"] and r["tensors"] > 10 and r["bytes"] > 10000)

    def test_a_cut_file_is_not(self):
        with open(os.path.join(model(), "model.safetensors"), "rb") as f:
            data = f.read()
        with open(self.path("cut.safetensors"), "wb") as f:
            f.write(data[:-10])
        self.assertFails(gram("check", self.path("cut.safetensors")), 1, "cut.safetensors")


class Tokenize(Case):
    def test_lines_of_text_become_lines_of_ids_and_back(self):
        text = "Once upon a time\n\nthe king\n"
        ids = self.assertDone(gram("tokenize", model(), stdin=text)).text
        lines = ids.split("\n")
        self.assertEqual([bool(line) for line in lines], [True, False, True, False])
        back = self.assertDone(gram("tokenize", model(), "--decode", stdin=ids)).text
        self.assertEqual([s.strip() for s in back.split("\n")], [s.strip() for s in text.split("\n")])

    def test_json_has_the_same_ids(self):
        text = "a\n\nb c"
        lines = self.assertDone(gram("tokenize", model(), stdin=text)).text.splitlines()
        r = self.assertDone(gram("tokenize", model(), "--json", stdin=text)).json
        self.assertEqual([" ".join(map(str, ids)) for ids in r["lines"]], lines)
        self.assertEqual(gram("tokenize", model(), "--json").json, {"lines": []})
        ids = "\n".join(lines)
        r = self.assertDone(gram("tokenize", model(), "--decode", "--json", stdin=ids)).json
        self.assertEqual([s.strip() for s in r["lines"]], ["a", "", "b c"])

    def test_special_tokens_only_when_asked(self):
        plain = gram("tokenize", model(), stdin="the king\n").text.split()
        special = gram("tokenize", model(), "--special", stdin="the king\n").text.split()
        self.assertGreater(len(special), len(plain))
        self.assertEqual(special[len(special) - len(plain):][:1], plain[:1])

    def test_text_that_is_not_utf8_names_line_and_offset(self):
        r = gram("tokenize", model(), stdin=b"good\nbad \xff\xfe\n")
        self.assertEqual(r.code, 1)
        self.assertRegex(r.err, r"^gram: standard input, line 2: .*\b4\b")

    def test_what_is_no_id_is_refused(self):
        for ids in ("1 x 2\n", "1 -2\n", "99999999999\n", "999999999\n", "1\0002\n"):
            r = gram("tokenize", model(), "--decode", stdin=ids)
            self.assertEqual(r.code, 1, ids)
            self.assertIn("line 1", r.err)

    def test_a_long_line_and_no_newline_at_the_end(self):
        r = self.assertDone(gram("tokenize", model(), stdin="king " * 20000))
        self.assertEqual(len(r.text.splitlines()), 1)


class Eval(Case):
    def setUp(self):
        super().setUp()
        with open(self.path("text"), "w") as f:
            f.write(TEXT * 4)

    def test_json_has_the_contract_s_fields(self):
        r = self.assertDone(gram("eval", model(), "--text", self.path("text"), "--json")).json
        for key in ("tokens", "nll", "ppl", "bits_per_weight", "bytes"):
            self.assertGreater(r[key], 0)
        self.assertNotIn("kl_mean", r)

    def test_a_model_beside_itself_loses_nothing(self):
        r = self.assertDone(gram("eval", model(), "--text", self.path("text"), "--reference", model(),
                                 "--json", "--fail-if-kl", "1e-9")).json
        self.assertAlmostEqual(r["kl_mean"], 0, 9)
        self.assertAlmostEqual(r["kl_p99"], 0, 9)
        self.assertEqual(r["top1_agreement"], 1)
        self.assertEqual(r["ppl"], r["ppl_reference"])
        words = self.assertDone(gram("eval", model(), "--text", self.path("text"), "--reference",
                                     model()))
        self.assertIn("KL divergence", words.text)
        self.assertIn("tokens/s", words.err)

    def test_a_gate_that_is_crossed_is_exit_3_with_the_figures(self):
        args = ["eval", model(), "--text", self.path("text"), "--json", "--quiet"]
        r = gram(*args, "--fail-if-ppl", "1.0")
        self.assertEqual(r.code, 3)
        self.assertIn("above the limit", r.err)
        self.assertGreater(r.json["ppl"], 1)
        self.assertDone(gram(*args, "--fail-if-ppl", "1e9"))

    def test_text_can_come_from_a_pipe(self):
        with open(self.path("text")) as f:
            piped = gram("eval", model(), "--text", "-", "--json", stdin=f.read()).json
        self.assertEqual(piped["nll"],
                         gram("eval", model(), "--text", self.path("text"), "--json").json["nll"])

    def test_no_text_is_an_error(self):
        self.assertFails(gram("eval", model(), "--text", "/dev/null"), 1, "at least 2")
        self.assertFails(gram("eval", model(), "--text", self.folder), 1, "irectory")

    def test_windows_and_limits(self):
        r = gram("eval", model(), "--text", self.path("text"), "--ctx", "16", "--max-tokens", "33",
                 "--json").json
        self.assertEqual((r["tokens"], r["windows"]), (30, 2))


class Bench(Case):
    def test_json_has_the_contract_s_fields(self):
        r = self.assertDone(gram("bench", model(), "-p", "32", "-n", "4", "-t", "1", "--repeat", "2",
                                 "--json")).json
        for key in ("prompt_tokens_per_s", "generate_tokens_per_s", "peak_rss_bytes", "weight_bytes",
                    "read_ceiling_bytes_per_s"):
            self.assertGreater(r[key], 0)
        self.assertGreaterEqual(r["load_s"], 0)
        self.assertEqual(r["threads"], 1)

    def test_sequences_together(self):
        args = ["bench", model(), "-p", "8", "-n", "6", "--repeat", "1", "--parallel", "3", "--kv", "int8"]
        r = self.assertDone(gram(*args, "--json")).json
        self.assertEqual(r["parallel"], 3)
        self.assertGreater(r["parallel_tokens_per_s"], 0)
        self.assertIn("3 sequences of 6 tokens", self.assertDone(gram(*args)).text)

    def test_words_and_csv(self):
        args = ["bench", model(), "-p", "8", "-n", "2", "--repeat", "1"]
        self.assertIn("tokens/s", self.assertDone(gram(*args)).text)
        names, values = self.assertDone(gram(*args, "--csv")).text.splitlines()
        self.assertEqual(len(names.split(",")), len(values.split(",")))


class Run(Case):
    def test_words_go_to_stdout_and_talk_to_stderr(self):
        r = self.assertDone(gram("run", model(), "Once upon a time", "-n", "8"))
        self.assertGreater(len(r.text.strip()), 4)
        self.assertRegex(r.err, r"^\d+ prompt tokens .* 8 tokens .* tokens/s")
        self.assertEqual(gram("run", model(), "Once upon a time", "-n", "8", "-q").err, "")

    def test_kinds_of_cache(self):
        args = ["run", model(), "Once upon a time", "-n", "8", "-q"]
        usual = self.assertDone(gram(*args)).text
        self.assertEqual(self.assertDone(gram(*args, "--kv", "f16")).text, usual)
        for kind in ("f32", "int8"):
            self.assertDone(gram(*args, "--kv", kind))

    def test_json_is_the_same_text(self):
        args = ["run", model(), "Once upon a time", "-n", "12"]
        r = self.assertDone(gram(*args, "--json")).json
        self.assertEqual(r["text"] + "\n", gram(*args).text)
        self.assertEqual(len(r["ids"]), r["tokens"])
        self.assertIn(r["stop_reason"], ("length", "eos"))
        ids = " ".join(map(str, r["ids"])) + "\n"
        self.assertEqual(gram("tokenize", model(), "-d", stdin=ids).text.strip(), r["text"].strip())

    def test_the_prompt_can_come_from_stdin(self):
        given = gram("run", model(), "Once upon a time", "-n", "8", "--json").json
        for args in ([], ["-"]):
            piped = gram("run", model(), *args, "-n", "8", "--json", stdin="Once upon a time\n").json
            self.assertEqual(piped["ids"], given["ids"])
            self.assertEqual(piped["prompt_tokens"], given["prompt_tokens"])

    def test_echo_prints_the_prompt_first(self):
        r = self.assertDone(gram("run", model(), "Once upon a time", "-n", "4", "--echo"))
        self.assertTrue(r.text.strip().startswith("Once upon a time"))

    def test_a_seed_decides_a_sample(self):
        args = ["run", model(), "The king", "-n", "24", "--temperature", "1.5", "--json"]
        first = gram(*args, "--seed", "1").json["ids"]
        self.assertEqual(gram(*args, "--seed", "1").json["ids"], first)
        self.assertNotEqual(gram(*args, "--seed", "2").json["ids"], first)

    def test_a_stop_text_is_never_shown_in_part(self):
        args = ["run", model(), "Once upon a time", "-n", "48"]
        text = gram(*args, "--json").json["text"]
        for at in range(5, min(40, len(text) - 8), 3):  # most of these straddle tokens
            stop = text[at:at + 7]
            r = self.assertDone(gram(*args, "--stop", stop, "--stop", "no such text", "--json")).json
            self.assertEqual(r["text"], text[:text.index(stop)])
            self.assertEqual(r["stop_reason"], "stop")
        self.assertEqual(gram(*args, "--stop", stop).text, text[:text.index(stop)] + "\n")

    def test_a_prompt_that_does_not_fit_is_refused(self):
        self.assertFails(gram("run", model(), "Once upon a time there was", "--ctx", "3"), 2, "context")
        r = gram("run", model(), "Once upon a time", "--ctx", "16", "-n", "64", "--json").json
        self.assertEqual(r["stop_reason"], "context")

    def test_bad_text_is_refused(self):
        r = gram("run", model(), b"a\xff".decode("utf-8", "surrogateescape"))
        self.assertFails(r, 1, "UTF-8")

    def test_lost_output_ends_it(self):
        with open("/dev/full", "wb") as full:
            r = gram("run", model(), "Once upon a time", "-n", "8", stdout=full)
        self.assertEqual(r.code, 1)
        self.assertRegex(r.err, "^gram: standard output: [^\n]*\n$")

    def test_greedy_continuations_of_the_reference(self):
        with open(shared("data/reference.json")) as f:
            greedy = json.load(f)["models"]["stories260K"]["greedy"]
        for case in greedy:
            r = self.assertDone(gram("run", shared("data/models/stories260K"), case["prompt"], "-n",
                                     len(case["new_ids"]), "--json")).json
            self.assertEqual(r["ids"], case["new_ids"])
            self.assertEqual(r["prompt_tokens"], len(case["prompt_ids"]))


if __name__ == "__main__":
    main()
