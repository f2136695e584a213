"""The command line itself: help, mistakes, exit codes, lost output. Needs no model."""
import os
import re
import shutil
import subprocess

from gramcli import COMMANDS, GRAM, Case, gram, main


class Help(Case):
    def test_without_arguments_usage_goes_to_stderr(self):
        r = gram()
        self.assertEqual((r.code, r.out), (2, b""))
        self.assertTrue(r.err.startswith("usage: gram COMMAND"))

    def test_help_asked_for_goes_to_stdout(self):
        for args in (["--help"], ["-h"], ["help"]):
            r = self.assertDone(gram(*args))
            self.assertEqual(r.err, "")
            for command in COMMANDS:
                self.assertRegex(r.text, r"\n  %s +\S" % command)

    def test_every_command_explains_itself(self):
        for command in COMMANDS:
            long = self.assertDone(gram(command, "--help"))
            self.assertEqual(long.err, "")
            self.assertTrue(long.text.startswith("usage: gram %s" % command))
            self.assertEqual(gram(command, "-h").out, long.out)
            self.assertEqual(gram("help", command).out, long.out)
            for option in ("--json", "--threads N", "--quiet", "--cpu LEVEL", "--help"):
                self.assertIn(option, long.text)
            self.assertLessEqual(max(map(len, long.text.splitlines())), 100)

    def test_help_wins_over_what_is_missing_or_wrong_later(self):
        self.assertDone(gram("quantize", "--help", "--no-such-option"))
        self.assertDone(gram("eval", "-h"))

    def test_version(self):
        r = self.assertDone(gram("--version"))
        self.assertRegex(r.text, r"^gram \d+\.\d+\.\d+\n$")
        self.assertEqual(gram("version").out, r.out)
        self.assertEqual(gram("-V").out, r.out)

    def test_lists_and_help_as_json(self):
        self.assertEqual([c["name"] for c in gram("help", "--json").json["commands"]], COMMANDS)
        self.assertIn("w4a16", [s["name"] for s in gram("schemes", "--json").json["schemes"]])
        self.assertIn("rtn", [m["name"] for m in gram("methods", "--json").json["methods"]])
        self.assertIn("version", gram("version", "--json").json)
        self.assertIn("complete", gram("completion", "bash", "--json").json["script"])
        self.assertIn("w4a16", gram("schemes").text)
        self.assertIn("rtn", gram("methods").text)


class Mistakes(Case):
    def test_each_is_one_sentence_and_exit_2(self):
        for args, part in (
            (["quantise"], "did you mean 'quantize'?"),
            (["xyzzy"], "'gram help' lists all"),
            (["--json"], "behind the command"),
            (["help", "trase"], "did you mean 'trace'?"),
            (["completion", "tcsh"], "bash, zsh and fish"),
            (["check"], "MODEL|FILE is missing"),
            (["check", "a", "b"], "'b' is one argument too many"),
            (["quantize", "m", "-o", "o", "--scheem", "w4a16"], "did you mean '--scheme'?"),
            (["quantize", "m", "--scheme", "w4a16"], "--output OUT is missing"),
            (["quantize", "m", "-o", "o"], "--scheme SCHEME or --recipe FILE"),
            (["quantize", "m", "-o", "o", "-s", "w4a16", "-m", "rtm"], "there are rtn, mse"),
            (["quantize", "m", "-o", "o", "-s", "w4a16", "--max-shard", "5x"], "500m, 5g"),
            (["quantize", "m", "-o", "o", "-s", "w4a16", "--max-shard", "99999999999999g"], "size"),
            (["quantize", "m", "-o", "o", "-s", "w4a16", "--rule", "a.b"], "PATTERN=SCHEME"),
            (["quantize", "m", "-o", "o", "-s", "w4a16", "--rule", "a=:rtn"], "PATTERN=SCHEME"),
            (["quantize", "m", "-o", ""], "OUT is empty"),
            (["run", "m", "--top-p", "1.5"], "from 0 to 1"),
            (["run", "m", "--temperature", "nan"], "not a number"),
            (["run", "m", "--temperature", "0x1"], "not a number"),
            (["run", "m", "-n", "0"], "from 1 to"),
            (["run", "m", "-n", "5x"], "whole number"),
            (["run", "m", "-n", "99999999999999999999"], "whole number"),
            (["run", "m", "-n"], "needs an argument"),
            (["run", "m", "--top", "3"], "could be --top-k, --top-p"),
            (["run", "m", "--json=3"], "--json takes no argument"),
            (["run", "m", "-Z"], "'-Z'"),
            (["bench", "m", "-t", "0"], "from 1 to 256"),
            (["bench", "m", "--cpu", "avx3"], "did you mean 'avx2'?"),
            (["bench", "m", "--csv", "--json"], "exclude each other"),
            (["eval", "m", "--text", "t", "--fail-if-kl", "1"], "--reference"),
            (["eval", "m"], "--text FILE is missing"),
        ):
            with self.subTest(args=args):
                self.assertFails(gram(*args), 2, part)

    def test_what_is_not_there_is_exit_1(self):
        for args in (["check", "no/such"], ["inspect", "no/such"], ["run", "no/such", "x"],
                     ["bench", "no/such"], ["tokenize", "no/such"],
                     ["quantize", "no/such", "-o", self.path("out"), "-s", "w4a16"]):
            with self.subTest(args=args):
                self.assertFails(gram(*args), 1, "no/such")
        self.assertEqual(os.listdir(self.folder), [])

    def test_nothing_a_user_types_steers_the_terminal(self):
        for args in (["check", "a\x1b[31mb\nc"], ["\x1b]0;x\x07"], ["run", "m", "--x\x9b\n"]):
            r = gram(*args)
            self.assertNotEqual(r.code, 0)
            self.assertEqual(len(r.err.splitlines()), 1)
            self.assertNotIn("\x1b", r.err)


class LostOutput(Case):
    def test_a_full_device_is_an_error(self):
        for args in (["--help"], ["version", "--json"], ["schemes"], ["completion", "zsh"]):
            with open("/dev/full", "wb") as full:
                r = gram(*args, stdout=full)
            self.assertEqual(r.code, 1, args)
            self.assertRegex(r.err, "^gram: standard output: .*[Nn]o space left on device\n$")

    def test_a_closed_pipe_is_an_error_not_a_signal(self):
        read, write = os.pipe()
        os.close(read)
        r = gram("--help", stdout=write)
        os.close(write)
        self.assertEqual(r.code, 1)
        self.assertRegex(r.err, "^gram: standard output: ")

    def test_a_closed_stdout_is_an_error(self):
        r = subprocess.run(["sh", "-c", '"$0" version >&-', GRAM], stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 1)


class Generated(Case):
    def test_man_pages_have_their_sections(self):
        for command in COMMANDS:
            text = self.assertDone(gram("manual", command)).text
            self.assertEqual(re.findall(r"^\.SH (.*)$", text, re.M)[:4],
                             ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"], command)
            self.assertIn(".SH EXIT STATUS", text)
        self.assertIn("COMMANDS", gram("manual").text)

    def test_man_pages_format_without_warnings(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not there")
        for command in ["", *COMMANDS]:
            page = gram("manual", *([command] if command else []))
            r = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=page.out,
                               stderr=subprocess.PIPE)
            self.assertEqual(r.stderr, b"", command)

    def test_every_command_has_its_installed_page(self):
        with open(os.path.join(os.environ["GRAM_SOURCE"], "docs", "meson.build")) as f:
            listed = re.search(r"man_commands = \[(.*?)\]", f.read(), re.S).group(1)
        self.assertEqual(sorted(re.findall(r"'(\w+)'", listed)), sorted(COMMANDS))

    def test_scripts_are_understood_by_their_shells(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.assertDone(gram("completion", shell)).out
            with self.subTest(shell=shell):
                if not shutil.which(shell):
                    self.skipTest(shell + " is not there")
                r = subprocess.run([shell, "-n", "/dev/stdin"], input=script, stderr=subprocess.PIPE)
                self.assertEqual((r.returncode, r.stderr), (0, b""))

    def complete(self, *words):
        script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gram; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        with open(self.path("completion"), "wb") as f:
            f.write(gram("completion", "bash").out)
        r = subprocess.run(["bash", "-c", script, f.name, *words], stdout=subprocess.PIPE)
        return r.stdout.decode().split()

    def test_bash_completes_commands_options_and_choices(self):
        if not shutil.which("bash"):
            self.skipTest("bash is not there")
        self.assertEqual(self.complete("gram", "quan"), ["quantize"])
        self.assertEqual(self.complete("gram", "run", "m", "--temp"), ["--temperature"])
        self.assertEqual(self.complete("gram", "quantize", "m", "--method", "r"), ["rtn"])
        self.assertIn("w4a16", self.complete("gram", "quantize", "m", "-s", "w4"))


class House(Case):
    def test_the_program_sees_public_headers_only(self):
        folder = os.path.join(os.environ["GRAM_SOURCE"], "cli")
        own = {name for name in os.listdir(folder) if name.endswith(".h")}
        for name in sorted(os.listdir(folder)):
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name)) as f:
                    quoted = re.findall(r'^#include "(.*)"', f.read(), re.M)
                self.assertLessEqual(set(quoted), own, name)


if __name__ == "__main__":
    main()
