"""gram quantize from outside: the way there and back, and what it must never do."""
import json
import os
import shutil
import signal
import struct
import subprocess
import time

from gramcli import GRAM, Case, gram, main, model

TEXT = "Once upon a time there was a king who lived in a house by the sea. One day he met a dog. " * 6


def contents(folder):
    result = {}
    for root, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(root, name), "rb") as f:
                result[os.path.relpath(os.path.join(root, name), folder)] = f.read()
    return result


class Quantize(Case):
    def test_a_quantized_model_is_checked_measured_and_run(self):
        with open(self.path("text"), "w") as f:
            f.write(TEXT)
        sizes, divergences = [], []
        for scheme in ("w8a16", "w4a16-g32"):
            out = self.path(scheme)
            report = self.assertDone(gram("quantize", model(), "-o", out, "-s", scheme, "--json")).json
            self.assertEqual(report["out"], out)
            self.assertGreater(report["linears"], 0)
            self.assertLess(report["bytes"], report["bytes_before"])
            self.assertDone(gram("check", out))
            e = self.assertDone(gram("eval", out, "--text", self.path("text"), "--reference", model(),
                                     "--json")).json
            self.assertEqual(e["bytes"], report["bytes"])
            sizes.append(e["bytes"])
            divergences.append(e["kl_mean"])
            self.assertDone(gram("run", out, "Once upon a time", "-n", "8"))
            self.assertDone(gram("inspect", out, "--json")).json
            with open(os.path.join(out, "config.json")) as f:
                self.assertIn("quantization_config", json.load(f))
            self.assertTrue(os.path.exists(os.path.join(out, "gram.json")))
        self.assertGreater(sizes[0], sizes[1])
        self.assertLess(divergences[0], divergences[1])

    def test_the_last_line_says_what_was_done(self):
        r = self.assertDone(gram("quantize", model(), "-o", self.path("out"), "-s", "w8a16"))
        self.assertRegex(r.text, r"^\S*out: \d+ linears, \d+\.\d\d bits/weight, [\d.]+ [kMG]?B "
                                 r"\(was [\d.]+ [kMG]?B\), [\d.]+ s\n$")
        self.assertEqual(r.err, "")
        r = self.assertDone(gram("quantize", model(), "-o", self.path("two"), "-s", "w8a16", "-q"))
        self.assertEqual((r.out, r.err), (b"", ""))

    def test_what_exists_is_replaced_only_by_force(self):
        args = ["quantize", model(), "-o", self.path("out"), "-s"]
        self.assertDone(gram(*args, "w8a16"))
        before = contents(self.path("out"))
        self.assertFails(gram(*args, "w4a16-g32"), 1, "out")
        self.assertEqual(contents(self.path("out")), before)
        self.assertDone(gram(*args, "w4a16-g32", "--force"))
        self.assertNotEqual(contents(self.path("out")), before)
        self.assertEqual(os.listdir(self.folder), ["out"])

    def test_the_input_is_never_the_output(self):
        copy = self.path("model")
        shutil.copytree(model(), copy)
        before = contents(copy)
        os.symlink(copy, self.path("link"))
        for out in (copy, copy + "/.", self.path("link")):
            r = gram("quantize", copy, "-o", out, "-s", "w8a16", "--force")
            self.assertNotEqual(r.code, 0, out)
            self.assertEqual(contents(copy), before)

    def test_unknown_schemes_and_what_was_meant(self):
        r = gram("quantize", model(), "-o", self.path("out"), "-s", "w4a61")
        self.assertFails(r, 2, "did you mean 'w4a16'?")
        r = gram("quantize", model(), "-o", self.path("out"), "-s", "w8a16", "--rule", "*=w9a16")
        self.assertFails(r, 2, "w9a16")
        self.assertEqual(os.listdir(self.folder), [])

    def test_rules_and_recipes(self):
        plain = gram("quantize", model(), "-o", self.path("a"), "-s", "w8a16", "--json").json
        kept = gram("quantize", model(), "-o", self.path("b"), "-s", "w8a16", "--rule",
                    "layers.0.*=keep", "--json").json
        self.assertLess(kept["linears"], plain["linears"])
        with open(self.path("recipe"), "w") as f:
            json.dump({"scheme": "w8a16", "rules": [{"pattern": "layers.0.*", "scheme": "keep"}]}, f)
        again = gram("quantize", model(), "-o", self.path("c"), "--recipe", self.path("recipe"),
                     "--json").json
        self.assertEqual(again["linears"], kept["linears"])
        self.assertEqual(again["bytes"], kept["bytes"])


class Interrupted(Case):
    """On a model of zeros that takes seconds to write; its file is sparse."""

    def make_model(self):
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048,
                  "intermediate_size": 8192, "num_hidden_layers": 8, "num_attention_heads": 16,
                  "num_key_value_heads": 16, "vocab_size": 512, "max_position_embeddings": 512,
                  "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
                  "torch_dtype": "bfloat16", "hidden_act": "silu"}
        shapes = {"model.embed_tokens.weight": [512, 2048], "model.norm.weight": [2048]}
        for i in range(8):
            at = "model.layers.%d." % i
            for name in "qkvo":
                shapes[at + "self_attn.%s_proj.weight" % name] = [2048, 2048]
            for name in ("gate", "up"):
                shapes[at + "mlp.%s_proj.weight" % name] = [8192, 2048]
            shapes[at + "mlp.down_proj.weight"] = [2048, 8192]
            for name in ("input", "post_attention"):
                shapes[at + name + "_layernorm.weight"] = [2048]
        header, end = {}, 0
        for name, shape in shapes.items():
            begin = end
            end += 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        os.mkdir(self.path("model"))
        with open(self.path("model", "model.safetensors"), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            f.truncate(8 + len(text) + end)
        with open(self.path("model", "config.json"), "w") as f:
            json.dump(config, f)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(os.path.join(model(), name), self.path("model", name))
        return self.path("model")

    def interrupt(self, signals, method):
        out = self.path("out-%d" % signals)
        job = subprocess.Popen([GRAM, "quantize", self.make_model(), "-o", out, "-s", "w4a16", "-m",
                                method, "-t", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            deadline = time.time() + 60
            while not any(n.startswith("out") for n in os.listdir(self.folder)) and \
                    job.poll() is None and time.time() < deadline:
                time.sleep(0.01)
            job.send_signal(signals)
            printed, said = job.communicate(timeout=60)
        finally:
            job.kill()
            job.wait()
        if job.returncode == 0:
            self.skipTest("the job was done before the signal came")
        self.assertEqual(job.returncode, 128 + signals, said)
        self.assertRegex(said.decode(), r"^gram: [^\n]+\n$")
        self.assertEqual(printed, b"")
        self.assertFalse(os.path.exists(out))

    def test_ctrl_c_leaves_no_output(self):
        self.interrupt(signal.SIGINT, "mse")

    def test_sigterm_leaves_no_output(self):
        self.interrupt(signal.SIGTERM, "mse")


if __name__ == "__main__":
    main()
