"""scripts/validate.py tells whether this machine is ready, and the rlbot command finds it from any folder."""

import runpy
import subprocess
import sys

import pytest

from rlbot.__main__ import ROOT


@pytest.mark.parametrize("command", [(str(ROOT / "scripts" / "validate.py"),), ("-m", "rlbot", "validate")])
def test_ready_machine_passes_all_checks_from_any_folder(tmp_path, command):
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (0, "Tests Passed: 6/6")
    assert [line[: len("[OK] Test 1")] for line in lines[:-1]] == [f"[OK] Test {n}" for n in range(1, 7)]


def test_broken_part_is_named_with_its_cure_and_the_exit_code(capsys):
    script = runpy.run_path(str(ROOT / "scripts" / "validate.py"))
    script["CHECKS"][:] = [(script["check_amp"], "sleep"), (lambda: 1 / 0, "count again")]
    assert script["main"]() == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("[OK] Test 1: AMP")
    assert out[1] == "[ERROR] Test 2: <lambda>: division by zero; cure: count again"
    assert out[2] == "Tests Passed: 1/2"


def test_unknown_verb_lists_the_known_ones():
    done = subprocess.run([sys.executable, "-m", "rlbot", "dance"], capture_output=True, text=True)
    assert done.returncode == 2
    verbs = "benchmark,compare,evaluate,export,prove,scaling,soak,train,validate,watch"
    assert done.stderr.startswith(f"usage: rlbot {{{verbs}}}")
