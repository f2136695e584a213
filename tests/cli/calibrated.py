"""What the tests of calibrated quantization share: a text, a small job, what it left."""
import json
import os
import signal
import subprocess
import time

from gramcli import GRAM, SOURCE, Case, gram, model

TEXT = os.path.join(SOURCE, "models", "hamlet-text")


def contents(folder):
    result = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            result[name] = f.read()
    return result


class Calibrated(Case):
    tokens = 2048

    def setUp(self):
        super().setUp()
        self.calib = os.path.join(TEXT, "calib.txt")
        self.held_out = os.path.join(TEXT, "test.txt")

    def command(self, out, scheme, method, *more):
        return ("quantize", model(), "-o", self.path(out), "-s", scheme, "-m", method, "--calib", self.calib,
                "--calib-tokens", str(self.tokens), "--calib-ctx", "128", "--json", *more)

    def quantize(self, out, scheme, method, *more):
        return self.assertDone(gram(*self.command(out, scheme, method, *more))).json

    def divergence(self, out, tokens=1024):
        return self.assertDone(gram("eval", self.path(out), "--text", self.held_out, "--reference", model(),
                                    "--max-tokens", tokens, "--ctx", "128", "--json")).json["kl_mean"]

    def hold_bytes(self, *options):
        """Other threads give the same bytes, and so does going on after a kill."""
        began = time.time()
        self.quantize("whole", *options, "-t", "1")
        seconds = time.time() - began
        whole = contents(self.path("whole"))
        self.quantize("threads", *options, "-t", "3")
        self.assertEqual(contents(self.path("threads")), whole)
        command = self.command("killed", *options)
        job = self.start(*command)
        time.sleep(0.6 * seconds)
        self.stop(job)
        if not os.path.exists(self.path("killed")):
            self.assertDone(gram(*command))
        self.assertEqual(contents(self.path("killed")), whole)

    def certificate(self, out):
        with open(self.path(out, "gram.json")) as f:
            return json.load(f)

    def start(self, *command):
        return subprocess.Popen([GRAM, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def stop(self, job, how=signal.SIGKILL):
        job.send_signal(how)
        _, err = job.communicate()
        return job.returncode, err.decode()

    def finished(self, out):
        """Lines of the journal; 0 while there is none."""
        try:
            with open(self.path(out + ".partial", "journal")) as f:
                return f.read().count("\n")
        except FileNotFoundError:
            return 0

    def stop_in_between(self, out, command, how=signal.SIGKILL, lines=2):
        """Start it and stop it when some of it is done; skips the test if it was faster."""
        job = self.start(*command)
        while job.poll() is None and self.finished(out) < lines:
            time.sleep(0.002)
        result = self.stop(job, how)
        if os.path.exists(self.path(out)):
            self.skipTest("the job was done before it could be stopped")
        return result
