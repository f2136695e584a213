"""gram quantize with calibration, from outside: what it gains, what it says, the same bytes at the end."""
import json
import os
import shutil
import struct

from calibrated import Calibrated, contents
from gramcli import gram, main, model

CALIBRATED = ("gptq", "ldlq", "gpfq", "autoround")


def listing():
    """Names of all methods."""
    return [row["name"] for row in gram("methods", "--json").json["methods"]]


def with_biases(path):
    """The small model with biases of zero beside every linear."""
    shutil.copytree(model(), path)
    with open(os.path.join(path, "config.json")) as f:
        config = json.load(f)
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump({**config, "attention_bias": True, "mlp_bias": True}, f)
    with open(os.path.join(path, "model.safetensors"), "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    for name in [name for name in header if name.endswith("_proj.weight")]:
        rows = header[name]["shape"][0]
        header[name[:-len("weight")] + "bias"] = {
            "dtype": "BF16", "shape": [rows], "data_offsets": [len(data), len(data) + 2 * rows]}
        data += bytes(2 * rows)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(path, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Biases(Calibrated):
    def command_of(self, out, *more):
        return ("quantize", self.path("biased"), "-o", self.path(out), "-s", "w2a16-g32", "-m", "rtn",
                "--quiet", "--calib", self.calib, "--calib-tokens", "2048", "--calib-ctx", "128", *more)

    def test_corrected_biases_bring_the_model_nearer_to_the_float_one(self):
        with_biases(self.path("biased"))
        for out, more in (("plain", ()), ("corrected", ("--correct-bias",)),
                          ("threads", ("--correct-bias", "-t", "3"))):
            self.assertDone(gram(*self.command_of(out, *more)))
            self.assertDone(gram("check", self.path(out)))
        self.assertLess(self.divergence("corrected"), self.divergence("plain"))
        self.assertEqual(contents(self.path("corrected")), contents(self.path("threads")))
        self.assertTrue(self.certificate("corrected")["calibration"]["biases_corrected"])

    def test_a_model_without_biases_stays_as_it_is_and_is_told(self):
        self.quantize("plain", "w2a16-g32", "gptq")
        r = self.assertDone(gram(*self.command("out", "w2a16-g32", "gptq", "--correct-bias")))
        self.assertIn("no linear that is quantized has a bias", r.err)
        weights = [contents(self.path(out))["model.safetensors"] for out in ("plain", "out")]
        self.assertEqual(*weights)

    def test_without_text_biases_are_not_corrected(self):
        r = gram("quantize", model(), "-o", self.path("out"), "-s", "w4a16", "--correct-bias")
        self.assertEqual(r.code, 2)
        self.assertIn("correcting biases needs calibration", r.err)


class Quality(Calibrated):
    def test_gptq_is_nearer_to_the_reference_than_rounding(self):
        for scheme in ("w4a16-g32", "w3a16-g32", "w2a16-g32"):
            self.quantize("rtn", scheme, "rtn", "--force")
            self.quantize("gptq", scheme, "gptq", "--force")
            self.assertLess(self.divergence("gptq"), 0.8 * self.divergence("rtn"), scheme)

    def test_the_authors_way_is_there_to_compare(self):
        self.quantize("ours", "w3a16-g32", "gptq")
        self.quantize("theirs", "w3a16-g32", "gptq", "--as-reference")
        self.assertLess(self.divergence("ours"), self.divergence("theirs"))

    def test_every_method_is_as_good_as_rounding_or_refused(self):
        some = ("--force", "--rule", "layers.[1-9].*=keep", "--iterations", "40")
        for scheme in ("w3a16-channel", "w2a16-g64-asym", "w8a8", "w4a16-tensor", "nf4", "ternary"):
            self.quantize("rtn", scheme, "rtn", *some)
            # of one block, a few bits more or less are chance
            worst = 1.5 * self.divergence("rtn") + 1e-3
            for method in listing():
                r = gram(*self.command(method, scheme, method, *some))
                if r.code == 2:
                    self.assertIn("integer grids", r.err)
                    continue
                self.assertDone(r)
                self.assertDone(gram("check", self.path(method)))
                self.assertLess(self.divergence(method), worst, (scheme, method))

    def test_the_certificate_says_what_was_seen(self):
        report = self.quantize("out", "w4a16-g32", "gptq")
        cert = self.certificate("out")
        self.assertEqual(report["calibration_tokens"], 2048)
        self.assertEqual(cert["calibration"]["tokens"], 2048)
        self.assertIn(cert["calibration"]["windows"], (16, 17))
        linears = [t for t in cert["tensors"] if t.get("method") == "gptq"]
        self.assertEqual(len(linears), report["linears"])
        for tensor in linears:
            self.assertEqual(tensor["tokens"], 2048)
            self.assertGreater(tensor["output_mse"], 0)
            self.assertGreater(tensor["snr_db"], 10)
            self.assertGreaterEqual(tensor["damping"], 0.01)
            self.assertNotIn("fallback", tensor)
        self.assertEqual(cert["totals"]["fallbacks"], 0)
        self.assertEqual(cert["recipe"]["options"]["block"], 128)
        self.assertTrue(cert["calibration"]["sequential"])
        self.assertFalse(cert["calibration"]["drift_corrected"])

    def test_the_certificate_says_what_was_asked_for(self):
        self.quantize("out", "w8a8-static", "gptq:block=32,reference", "--observer", "percentile",
                      "--transform", "smoothquant:alpha=0.75",
                      "--rule", "layers.1.*=w4a16-g32:hqq:iterations=3")
        cert = self.certificate("out")
        self.assertEqual(cert["calibration"]["observer"], "percentile")
        options = cert["recipe"]["options"]
        self.assertEqual((options["block"], options["iterations"], options["mse-steps"]), (32, -1, False))
        self.assertEqual(cert["recipe"]["rules"][0]["options"], {"iterations": 3})
        self.assertEqual(cert["transform"]["options"], {"alpha": 0.75, "reference": False})
        self.assertEqual(len(cert["transform"]["blocks"]), 5)
        for note in cert["transform"]["blocks"]:
            self.assertIn("0.75", note)

    def test_options_of_a_method_are_those_of_the_command(self):
        self.quantize("a", "w3a16-g32", "gptq:damping=0.05,no-act-order,iterations=2")
        self.quantize("b", "w3a16-g32", "gptq", "--damp", "0.05", "--no-act-order", "--iterations", "2")
        self.quantize("c", "w3a16-g32", "gptq")
        weights = [open(self.path(name, "model.safetensors"), "rb").read() for name in "abc"]
        self.assertEqual(weights[0], weights[1])
        self.assertNotEqual(weights[0], weights[2])


class Drift(Calibrated):
    """Aiming at the float model's outputs on the quantized model's inputs."""

    def test_it_is_nearer_to_the_reference(self):
        enough = ("--calib-tokens", "16384")
        self.quantize("plain", "w2a16-g32", "gptq", *enough)
        self.quantize("corrected", "w2a16-g32", "gptq", "--correct-drift", *enough)
        self.assertLess(self.divergence("corrected"), 0.8 * self.divergence("plain"))

    def test_not_behind_a_transform(self):
        r = gram(*self.command("out", "w4a16-g32", "gptq", "--correct-drift", "--transform", "smoothquant"))
        self.assertFails(r, 1, "drift")


class Learning(Calibrated):
    """Codes and steps of whole blocks, learned on what leaves them."""
    def hold_gain(self, scheme, method, *more):
        options = (scheme, method, "--rule", "layers.[1-9].*=keep", "--calib-tokens", "8192", *more)
        self.quantize("plain", *options)
        self.quantize("learned", *options, "--learn", "4")
        self.assertLess(self.divergence("learned"), 0.9 * self.divergence("plain"))

    def test_it_is_nearer_to_the_reference(self):
        self.hold_gain("w2a16-g32", "gptq")

    def test_rounding_to_nearest_is_a_start_too(self):
        self.hold_gain("w3a16-g32", "rtn")

    def test_neither_threads_nor_a_kill_changes_the_bytes(self):
        self.hold_bytes("w2a16-g32", "gptq", "--correct-drift", "--rule", "layers.[2-9].*=keep",
                        "--calib-tokens", "512", "--learn", "2")

    def test_it_needs_text(self):
        r = gram("quantize", model(), "-o", self.path("out"), "-s", "w4a16-g32", "--learn", "1")
        self.assertFails(r, 2, "learning on whole blocks needs calibration")


class StaticActivations(Calibrated):
    def input_scales(self, out):
        with open(self.path(out, "model.safetensors"), "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
            base = f.tell()
            scales = {}
            for name, about in header.items():
                if name.endswith(".input_scale"):
                    f.seek(base + about["data_offsets"][0])
                    raw = f.read(about["data_offsets"][1] - about["data_offsets"][0])
                    if about["dtype"] == "BF16":
                        raw = b"\0\0" + raw
                    scales[name] = struct.unpack("<f" if len(raw) == 4 else "<e", raw)[0]
        return scales

    def test_every_observer_gives_scales_that_run(self):
        widest = None
        for observer in ("minmax", "percentile", "entropy"):
            report = self.quantize("out", "w8a8-static", "mse", "--observer", observer, "--force")
            scales = self.input_scales("out")
            self.assertEqual(len(scales), report["linears"])
            widest = widest or scales
            for name, scale in scales.items():
                self.assertGreater(scale, 0, name)
                if name.startswith("model.layers.0.self_attn.q"):  # what it reads is float in all of them
                    self.assertLessEqual(scale, widest[name] * 1.01, name)
            self.assertLess(self.divergence("out"), 0.5, observer)

    def test_linears_that_read_the_same_share_a_scale(self):
        self.quantize("out", "w8a8-static", "gptq")
        scales = self.input_scales("out")
        for layer in (0, 1):
            at = "model.layers.%d.self_attn.%%s_proj.input_scale" % layer
            self.assertEqual(scales[at % "q"], scales[at % "k"])
            self.assertEqual(scales[at % "q"], scales[at % "v"])

    def test_without_text_they_are_refused(self):
        r = gram("quantize", model(), "-o", self.path("out"), "-s", "w8a8-static")
        self.assertFails(r, 2, "--calib")


class Refused(Calibrated):
    def test_a_calibrated_method_without_text(self):
        for method in CALIBRATED:
            r = gram("quantize", model(), "-o", self.path("out"), "-s", "w4a16-g32", "-m", method)
            self.assertFails(r, 2, "--calib")

    def test_text_that_is_too_short(self):
        with open(self.path("empty"), "w") as f:
            f.write("")
        r = gram(*self.command("out", "w4a16-g32", "gptq", "--calib", self.path("empty")))
        self.assertNotEqual(r.code, 0)
        with open(self.path("short"), "w") as f:
            f.write("To be, or not to be, that is the question.")
        r = self.assertDone(gram(*self.command("out", "w4a16-g32", "gptq", "--calib", self.path("short"))))
        self.assertRegex(r.err, r"calibration: \d+ tokens are fewer than the 640 inputs of \d+ linears")

    def test_a_weight_that_is_not_a_number(self):
        shutil.copytree(model(), self.path("model"))
        with open(self.path("model", "model.safetensors"), "r+b") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            header = json.loads(f.read(size))
            f.seek(8 + size + header["model.layers.2.mlp.up_proj.weight"]["data_offsets"][0] + 2 * 256 + 6)
            f.write(b"\xc0\x7f")
        r = gram("quantize", self.path("model"), "-o", self.path("out"), "-s", "w4a16-g32", "-m", "gptq",
                 "--calib", self.calib, "--calib-tokens", "1024")
        self.assertFails(r, 1, "model.layers.2.mlp.up_proj.weight[1, 3] is nan")
        self.assertFalse(os.path.exists(self.path("out.partial")))


if __name__ == "__main__":
    main()
