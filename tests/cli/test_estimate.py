"""What gram quantize says that it will need, against what it then takes; statistics that are kept."""
import json
import os
import resource
import shutil
import struct
import unittest

from calibrated import Calibrated, contents
from gramcli import gram, main, model

JOBS = {
    "rtn": ("w4a16-g32", "rtn"),
    "gptq": ("w4a16-g32", "gptq"),
    "gptq, drift corrected": ("w4a16-g32", "gptq", "--correct-drift"),
    "awq": ("w4a16-g32", "rtn", "--transform", "awq"),
    "learned": ("w3a16-g32", "rtn", "--learn", "1", "--rule", "layers.[1-9].*=keep"),
}


class Estimate(Calibrated):
    @unittest.skipIf(os.environ.get("GRAM_SANITIZE", "none") != "none", "a sanitizer takes memory of its own")
    def test_memory_is_foreseen_within_a_quarter(self):
        for name, job in JOBS.items():
            with self.subTest(job=name):
                report = self.quantize("out", *job, "--force")
                estimate, peak = report["estimate"]["memory"], report["memory_peak"]
                self.assertLess(abs(estimate / peak - 1), 0.25, (estimate, peak))
                self.assertGreater(report["estimate"]["seconds"], 0)

    def test_the_disk_is_foreseen_to_two_parts_in_a_hundred(self):
        for scheme in ("w4a16-g32", "w8a8", "nf4", "f16"):
            with self.subTest(scheme=scheme):
                r = self.assertDone(gram("quantize", model(), "-o", self.path("out"), "-s", scheme, "--json",
                                         "--force"))
                there = sum(map(len, contents(self.path("out")).values()))
                self.assertLess(abs(r.json["estimate"]["disk"] / there - 1), 0.02)

    def test_a_limit_that_is_too_low_is_refused_before_anything_is_written(self):
        for name, job in JOBS.items():
            with self.subTest(job=name):
                r = gram(*self.command("out", *job, "--memory", "10m"))
                self.assertEqual(r.code, 2)
                self.assertIn("MB of memory, and is allowed 10 MB", r.err)
                self.assertEqual(os.listdir(self.folder), [])


    @unittest.skipIf(os.environ.get("GRAM_SANITIZE", "none") != "none", "a sanitizer takes memory of its own")
    def test_a_system_that_gives_less_gets_a_sentence_or_the_whole_result(self):
        whole = None
        alone = dict(os.environ, OPENBLAS_NUM_THREADS="1")  # its threads take room on every processor
        for megabytes in (4000, 700, 400, 300):  # OpenBLAS itself hangs below
            limit = megabytes << 20
            with self.subTest(megabytes=megabytes):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                r = gram(*self.command("out", "w4a16-g32", "gptq", "--threads", "2"), env=alone,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
                if r.code == 0:
                    out = contents(self.path("out"))
                    whole = whole or out
                    self.assertEqual(out.keys(), whole.keys())
                    self.assertEqual(out["model.safetensors"], whole["model.safetensors"])
                else:
                    self.assertEqual(r.code, 1, r.err)
                    self.assertRegex(r.err, "memory|map")
                    self.assertFalse(os.path.exists(self.path("out")))
        self.assertIsNotNone(whole)


class Kept(Calibrated):
    """--save-stats and --stats."""

    def test_what_is_kept_serves_again_and_again(self):
        file = self.path("stats.safetensors")
        self.quantize("collected", "w3a16-g32", "gptq", "--save-stats", file)
        self.quantize("plain", "w3a16-g32", "rtn")
        again = ("quantize", model(), "-o", self.path("again"), "-s", "w3a16-g32", "--stats", file, "--json")
        report = self.assertDone(gram(*again, "-m", "gptq")).json
        self.assertEqual(report["calibration_tokens"], 2048)
        made = contents(self.path("again"))
        collected = contents(self.path("collected"))
        self.assertEqual(made["model.safetensors"], collected["model.safetensors"])
        self.assertTrue(self.certificate("again")["calibration"]["kept"])
        self.assertLess(self.divergence("again"), 0.8 * self.divergence("plain"))
        for more in (("-m", "autoround:iterations=4"), ("-m", "rtn", "--transform", "awq"),
                     ("-m", "gptq", "--calib", self.calib, "--calib-tokens", "2048", "--calib-ctx", "128")):
            self.assertDone(gram(*again, *more, "--force"))

    def test_a_file_of_something_else_is_refused(self):
        file = self.path("stats.safetensors")
        self.quantize("out", "w3a16-g32", "gptq", "--save-stats", file)
        again = ("quantize", model(), "-o", self.path("again"), "-s", "w3a16-g32", "-m", "gptq",
                 "--stats", file)

        def text(path, tokens, context):
            return ("--calib", path, "--calib-tokens", tokens, "--calib-ctx", context)
        for more, part in ((text(self.held_out, 2048, 128), "another text"),
                           (text(self.calib, 1024, 128), "another text"),
                           (text(self.calib, 2048, 64), "length of its"),
                           (("--transform", "smoothquant"), "take rtn or mse"),
                           (("--correct-drift",), "drift is measured"),
                           (("--learn", "1"), "learning runs the text through whole blocks"),
                           (("--correct-bias",), "biases are corrected linear by linear"),
                           (("--save-stats", self.path("more"), *text(self.calib, 2048, 128)), "either read"),
                           (("-m", "rtn"), "this recipe has neither")):
            with self.subTest(more=more):
                r = gram(*again, *more)
                self.assertIn(part, r.err)
                self.assertIn(r.code, (1, 2))
        shutil.copytree(model(), self.path("other"))
        with open(self.path("other", "model.safetensors"), "r+b") as f:
            f.seek(-4000, os.SEEK_END)
            byte = f.read(1)
            f.seek(-4000, os.SEEK_END)
            f.write(bytes([byte[0] ^ 1]))
        r = gram("quantize", self.path("other"), *again[2:])
        self.assertFails(r, 2, "statistics of another model")

    def test_a_file_that_is_there_is_used_or_left_alone(self):
        file = self.path("stats.safetensors")
        job = ("w3a16-g32", "gptq", "--save-stats", file)
        self.quantize("out", *job)
        before = os.stat(file).st_mtime_ns
        self.quantize("out", *job, "--force")
        self.assertEqual(os.stat(file).st_mtime_ns, before)
        r = gram(*self.command("out2", *job, "--calib-tokens", "1024"))
        self.assertFails(r, 1, "--force replaces it")
        self.quantize("out2", *job, "--calib-tokens", "1024", "--force")
        self.assertNotEqual(os.stat(file).st_mtime_ns, before)


class Fallback(Calibrated):
    tokens = 512

    def test_a_method_that_breaks_down_is_replaced_counted_and_named(self):
        """Values of attention so large that the sums of what o reads overflow."""
        shutil.copytree(model(), self.path("model"))
        with open(self.path("model", "model.safetensors"), "r+b") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            header = json.loads(f.read(size))
            begin, end = header["model.layers.4.self_attn.v_proj.weight"]["data_offsets"]
            f.seek(8 + size + begin)
            raw = f.read(end - begin)
            bits = struct.unpack("<%dH" % (len(raw) // 2), raw)
            f.seek(8 + size + begin)  # times 2^63
            f.write(struct.pack("<%dH" % len(bits), *(b + (64 << 7) if b & 0x7f80 else b for b in bits)))
        command = list(self.command("out", "w4a16-g32", "gptq"))
        command[1] = self.path("model")
        r = self.assertDone(gram(*command))
        self.assertIn("layers.4.attn.o is quantized by mse instead", r.err)
        self.assertEqual(r.json["fallbacks"], 1)
        certificate = self.certificate("out")
        self.assertEqual(certificate["totals"]["fallbacks"], 1)
        self.assertEqual([t["op"] for t in certificate["tensors"] if "fallback" in t], ["layers.4.attn.o"])
        self.assertDone(gram("check", self.path("out")))


if __name__ == "__main__":
    main()
