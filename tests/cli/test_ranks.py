"""gram tune on several ranks: one loss curve, the same bytes, and what a rank that dies leaves behind."""
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


@unittest.skipUnless(has_mpi(), "needs gram built with -Dmpi=enabled, and mpirun")
class Ranks(Case):
    def command(self, n, out, *more):
        tune = [GRAM, "tune", model(), "-o", self.path(out), "-d", TEXT, "--ctx", "32", "-b", "4",
                "-n", "6", "--lr", "1e-3", "--eval-share", "0.1", "--threads", "1",
                "--log", self.path(out + ".log"), *more]
        return ["mpirun", "-n", str(n), *tune] if n > 1 else tune

    def tune(self, n, out, *more):
        done = subprocess.run(self.command(n, out, *more), env=ENV, capture_output=True, text=True,
                              timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def log(self, out):
        with open(self.path(out + ".log")) as f:
            return [json.loads(line) for line in f]

    def weights(self, out):
        with open(self.path(out, "model.safetensors"), "rb") as f:
            return f.read()

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

    def rank(self, number):
        """The process of this rank, once it is there."""
        mark = f"OMPI_COMM_WORLD_RANK={number}".encode()
        for _ in range(600):
            for path in glob.glob("/proc/[0-9]*/environ"):
                try:
                    with open(path, "rb") as f:
                        fields = f.read().split(b"\0")
                    with open(os.path.join(os.path.dirname(path), "cmdline"), "rb") as f:
                        is_ours = self.path("dies").encode() in f.read()
                except OSError:
                    continue
                if mark in fields and is_ours:
                    return int(path.split("/")[2])
            time.sleep(0.02)
        self.fail("the rank never came")

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
        os.kill(self.rank(1), signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("rank 1", said)
        self.assertFalse(os.path.exists(self.path("dies")))
        self.assertTrue(os.path.isdir(self.path("dies.partial")))
        report = json.loads(self.tune(2, "dies", "-n", "30", "--keep-every", "1", "--json").stdout)
        self.assertGreater(report["resumed_from"], 0)
        self.assertEqual(self.weights("dies"), self.weights("whole"))


if __name__ == "__main__":
    main()
