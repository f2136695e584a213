"""gram tune and gram quantize on several ranks: the same to rounding, and what a dead rank leaves behind."""
import glob
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from gramcli import GRAM, SOURCE, Case, main, model

TEXT = os.path.join(SOURCE, "models", "hamlet-text", "calib.txt")
ENV = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
       "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl": "self,vader", "OMPI_MCA_plm_rsh_agent": ""}


def alone_in_two():
    """What gram says when a launcher claims to have started two."""
    return subprocess.run([GRAM, "tune", model(), "-o", "/nonexistent/out", "-d", TEXT],
                          env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2"}, capture_output=True, text=True,
                          timeout=60).stderr


def has_mpi():
    linked = subprocess.run(["ldd", GRAM], capture_output=True, text=True, timeout=60).stdout
    return "libmpi" in linked and shutil.which("mpirun")


class Alone(Case):
    @unittest.skipIf(has_mpi(), "built with MPI")
    def test_a_gram_without_mpi_says_so_under_mpirun(self):
        self.assertIn("built without MPI", alone_in_two())


class Launched(Case):
    def bytes_of(self, out):
        with open(self.path(out, "model.safetensors"), "rb") as f:
            return f.read()

    def launch(self, command):
        done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def rank(self, number, out):
        """The process of this rank that makes `out`, once it is there."""
        mark = f"OMPI_COMM_WORLD_RANK={number}".encode()
        for _ in range(600):
            for path in glob.glob("/proc/[0-9]*/environ"):
                try:
                    with open(path, "rb") as f:
                        fields = f.read().split(b"\0")
                    with open(os.path.join(os.path.dirname(path), "cmdline"), "rb") as f:
                        is_ours = self.path(out).encode() in f.read()
                except OSError:
                    continue
                if mark in fields and is_ours:
                    return int(path.split("/")[2])
            time.sleep(0.02)
        self.fail("the rank never came")


@unittest.skipUnless(has_mpi(), "needs gram built with -Dmpi=enabled, and mpirun")
class Tuning(Launched):
    def command(self, n, out, *more):
        tune = [GRAM, "tune", model(), "-o", self.path(out), "-d", TEXT, "--ctx", "32", "-b", "4",
                "-n", "6", "--lr", "1e-3", "--eval-share", "0.1", "--threads", "1",
                "--log", self.path(out + ".log"), *more]
        return ["mpirun", "-n", str(n), *tune] if n > 1 else tune

    def tune(self, n, out, *more):
        return self.launch(self.command(n, out, *more))

    def log(self, out):
        with open(self.path(out + ".log")) as f:
            return [json.loads(line) for line in f]

    def test_one_two_and_four_ranks_have_one_loss_curve(self):
        for n in (1, 2, 4):
            self.tune(n, f"out{n}")
        one = self.log("out1")
        for n in (2, 4):
            for a, b in zip(one, self.log(f"out{n}"), strict=True):
                self.assertAlmostEqual(a["loss"], b["loss"], delta=1e-5 * a["loss"])
                self.assertAlmostEqual(a["grad_norm"], b["grad_norm"], delta=1e-4 * a["grad_norm"])
            self.assertAlmostEqual(one[-1]["held_loss"], self.log(f"out{n}")[-1]["held_loss"], delta=1e-5)

    def test_only_one_rank_reports(self):
        self.assertEqual(self.tune(2, "out", "--json").stdout.count('"out"'), 1)

    def steps_of(self, out, process):
        """Wait for a checkpoint, behind which there is something to go on from."""
        while process.poll() is None:
            try:
                if len(self.log(out)) >= 2:
                    return
            except (OSError, json.JSONDecodeError):
                pass
            time.sleep(0.01)

    def test_a_rank_that_dies_ends_the_job_and_leaves_its_last_checkpoint(self):
        self.tune(2, "whole", "-n", "30", "--keep-every", "1")
        process = subprocess.Popen(self.command(2, "dies", "-n", "30", "--keep-every", "1"), env=ENV,
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.steps_of("dies", process)
        os.kill(self.rank(1, "dies"), signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("rank 1", said)
        self.assertFalse(os.path.exists(self.path("dies")))
        self.assertTrue(os.path.isdir(self.path("dies.partial")))
        report = json.loads(self.tune(2, "dies", "-n", "30", "--keep-every", "1", "--json").stdout)
        self.assertGreater(report["resumed_from"], 0)
        self.assertEqual(self.bytes_of("dies"), self.bytes_of("whole"))


@unittest.skipUnless(has_mpi(), "needs gram built with -Dmpi=enabled, and mpirun")
class Calibrating(Launched):
    def command(self, n, out, scheme, method, *more):
        quantize = [GRAM, "quantize", model(), "-o", self.path(out), "-s", scheme, "-m", method,
                    "--calib", TEXT, "--calib-tokens", "1024", "--calib-ctx", "64", "--threads", "1",
                    "--json", *more]
        return ["mpirun", "-n", str(n), *quantize] if n > 1 else quantize

    def tensors(self, out):
        with open(self.path(out, "gram.json")) as f:
            return [t for t in json.load(f)["tensors"] if "output_mse" in t]

    def hold_alike(self, *options):
        """1, 2 and 4 ranks see the same tokens and lose the same, to rounding that tips a few codes."""
        for n in (1, 2, 4):
            report = json.loads(self.launch(self.command(n, f"out{n}", *options)).stdout)
            self.assertEqual(report["calibration_tokens"], 1024)
        one = self.tensors("out1")
        self.assertTrue(one)
        for n in (2, 4):
            for a, b in zip(one, self.tensors(f"out{n}"), strict=True):
                self.assertEqual(a["tokens"], b["tokens"])
                self.assertAlmostEqual(a["output_mse"], b["output_mse"], delta=0.03 * a["output_mse"])
            self.assertEqual([name for name in os.listdir(self.path("")) if "rank" in name], [])

    def test_codes_are_chosen_alike(self):
        self.hold_alike("w3a16-g32", "gptq")

    def test_drift_is_corrected_alike(self):
        self.hold_alike("w4a16-g32", "gptq", "--correct-drift")

    def test_transforms_see_all_windows(self):
        self.hold_alike("w8a8", "rtn", "--transform", "smoothquant")

    def test_ranges_of_activations_are_alike(self):
        for observer in ("minmax", "moving-average", "percentile"):
            with self.subTest(observer=observer):
                self.hold_alike("w8a8-static", "rtn", "--observer", observer, "--force")

    def test_two_runs_end_in_the_same_bytes(self):
        for out in ("a", "b"):
            self.launch(self.command(2, out, "w3a16-g32", "gptq"))
        self.assertEqual(self.bytes_of("a"), self.bytes_of("b"))

    def test_only_the_first_rank_reports(self):
        done = self.launch(self.command(2, "out", "w4a16-g32", "gptq"))
        self.assertEqual(done.stdout.count('"out"'), 1)

    def test_what_cannot_be_shared_is_refused(self):
        for options, words in ((("w4a16-g32", "rtn"), "start gram without mpirun"),
                               (("w4a16-g32", "gptq", "--learn", "1"), "is not shared among 2"),
                               (("w4a16-g32", "gptq", "--save-stats", "x"), "keeping statistics"),
                               (("w4a16-g32", "gptq", "--calib-tokens", "64"), "1 calibration windows")):
            done = subprocess.run(self.command(2, "out", *options), env=ENV, capture_output=True, text=True,
                                  timeout=100)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
            self.assertFalse(os.path.exists(self.path("out")))

    def wait_for_a_block(self, out, process):
        while process.poll() is None:
            try:
                with open(self.path(out + ".partial", "journal")) as f:
                    if f.read().count("layers.1.") > 3:
                        return
            except OSError:
                pass
            time.sleep(0.01)

    def test_a_rank_that_dies_ends_the_job_and_the_same_command_goes_on(self):
        options = ("w3a16-g32", "gptq", "--correct-drift")
        self.launch(self.command(2, "whole", *options))
        process = subprocess.Popen(self.command(2, "dies", *options), env=ENV, stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.wait_for_a_block("dies", process)
        os.kill(self.rank(1, "dies"), signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("rank 1", said)
        self.assertFalse(os.path.exists(self.path("dies")))
        self.assertTrue(os.path.isdir(self.path("dies.partial")))
        report = json.loads(self.launch(self.command(2, "dies", *options)).stdout)
        self.assertGreater(report["resumed"], 0)
        self.assertEqual(self.bytes_of("dies"), self.bytes_of("whole"))


if __name__ == "__main__":
    main()
