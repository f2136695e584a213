"""gram quantize is stopped, and started again: the same bytes, or a sentence that says what is different."""
import json
import os
import random
import shutil
import signal
import time

from calibrated import Calibrated, contents
from gramcli import gram, main, model

FEW = ("--rule", "layers.[2-9].*=keep")
JOBS = {
    "rtn": ("w3a16-g32", "rtn"),
    "gptq, drift corrected": ("w3a16-g32", "gptq", "--correct-drift"),
    "awq": ("w4a16-g32", "rtn", "--transform", "awq"),
    "gptq behind smoothquant": ("w3a16-g32", "gptq", "--transform", "smoothquant"),
}


class Resume(Calibrated):
    tokens = 1024

    def tight(self, job):
        """A limit that the job meets when its activations go to a file, and only then."""
        estimate = self.quantize("probe", *job, *FEW)["estimate"]
        shutil.rmtree(self.path("probe"))
        limit = ("--memory", str(estimate["memory"] - self.tokens * 512))  # half of what is between blocks
        return (limit if job != JOBS["rtn"] else ()), estimate

    def kill(self, seconds, job, *more):
        """Kill the job at a random moment, run it to its end, return what it made."""
        command = self.command("killed", *job, *FEW, *more)
        running = self.start(*command)
        time.sleep(random.random() * seconds)
        self.stop(running)
        if not os.path.exists(self.path("killed")):
            self.assertDone(gram(*command))
        self.assertFalse(os.path.exists(self.path("killed.partial")))
        made = contents(self.path("killed"))
        shutil.rmtree(self.path("killed"))
        return made

    def test_twenty_kills_change_no_byte(self):
        random.seed(7)
        for name, job in JOBS.items():
            began = time.time()
            self.quantize("whole", *job, *FEW)
            seconds = time.time() - began
            whole = contents(self.path("whole"))
            shutil.rmtree(self.path("whole"))
            for more in ((), (), (), self.tight(job)[0], self.tight(job)[0]):
                with self.subTest(job=name, more=more):
                    self.assertEqual(self.kill(seconds, job, *more), whole)

    def test_neither_threads_nor_spilling_change_a_byte(self):
        for name, job in JOBS.items():
            first = None
            limit, estimate = self.tight(job)
            for more in (("-t", "1"), ("-t", "2"), ("-t", "4"), limit):
                with self.subTest(job=name, more=more):
                    report = self.quantize("out", *job, *FEW, *more, "--force")
                    first = first or contents(self.path("out"))
                    self.assertEqual(contents(self.path("out")), first)
            if name != "rtn":  # the last one did spill
                self.assertGreater(report["estimate"]["disk"], estimate["disk"])

    def test_a_change_in_between_starts_afresh_and_says_what_it_was(self):
        job = ("w3a16-g32", "gptq")
        for change, what in ((("--calib", self.held_out), "the calibration text"),
                             (("--damp", "0.05"), "the recipe"),
                             (("-m", "gptq:no-act-order"), "the recipe"),
                             (("--calib-tokens", "256"), "the calibration text"),
                             (("--seed", "3"), "the calibration")):
            with self.subTest(change=change):
                self.stop_in_between("out", self.command("out", *job, *FEW, "-t", "1"))
                again = self.assertDone(gram(*self.command("out", *job, *FEW, *change)))
                self.assertIn(what, again.err)
                self.assertIn("changed since the interrupted run; starting afresh", again.err)
                self.quantize("fresh", *job, *FEW, *change)
                self.assertEqual(contents(self.path("out")), contents(self.path("fresh")))
                for name in ("out", "fresh"):
                    shutil.rmtree(self.path(name))

    def test_another_version_starts_afresh_and_says_so(self):
        command = self.command("out", "w3a16-g32", "gptq", *FEW)
        self.stop_in_between("out", command)
        with open(self.path("out.partial", "journal"), "r+") as f:
            lines = f.readlines()
            first = json.loads(lines[0])
            first["gram"] = "0.0.0"
            f.seek(0)
            f.truncate()
            f.writelines([json.dumps(first) + "\n", *lines[1:]])
        self.assertIn("the version of gram changed", self.assertDone(gram(*command)).err)

    def test_a_changed_byte_of_the_input_is_seen(self):
        shutil.copytree(model(), self.path("model"))
        command = list(self.command("out", "w3a16-g32", "gptq", *FEW))
        command[1] = self.path("model")
        self.stop_in_between("out", command, lines=36)
        with open(self.path("model", "model.safetensors"), "r+b") as f:
            f.seek(-5000, os.SEEK_END)
            byte = f.read(1)
            f.seek(-5000, os.SEEK_END)
            f.write(bytes([byte[0] ^ 1]))
        self.assertIn("changed since the interrupted run", self.assertDone(gram(*command)).err)
        made = contents(self.path("out"))
        self.assertDone(gram(*command, "--force"))
        self.assertEqual(contents(self.path("out")), made)

    def test_damage_in_what_is_finished_is_made_good(self):
        command = self.command("out", "w3a16-g32", "gptq", *FEW)
        self.quantize("whole", "w3a16-g32", "gptq", *FEW)
        self.stop_in_between("out", command, lines=40)
        with open(self.path("out.partial", "model", "model.safetensors"), "r+b") as f:
            size = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(size))
            f.seek(8 + size + header["model.layers.4.mlp.down_proj.weight"]["data_offsets"][0])
            f.write(b"\x55\xaa\x55")
        again = self.assertDone(gram(*command))
        self.assertIn("damaged", again.err)
        self.assertEqual(contents(self.path("out")), contents(self.path("whole")))

    def test_a_signal_stops_it_and_it_says_how_to_go_on(self):
        self.quantize("whole", "w3a16-g32", "gptq")
        for how, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            command = self.command("out", "w3a16-g32", "gptq")
            result, said = self.stop_in_between("out", command, how)
            self.assertEqual(result, code)
            self.assertIn("the same command goes on", said)
            self.assertGreater(self.assertDone(gram(*command)).json["resumed"], 0)
            self.assertEqual(contents(self.path("out")), contents(self.path("whole")))
            shutil.rmtree(self.path("out"))


if __name__ == "__main__":
    main()
