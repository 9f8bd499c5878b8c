"""Ending a run: at the last timestep, by a signal at any moment, and when there is nothing left to do."""

import io
import os
import random
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import pytest
import torch

from callbacks import Stop


def wait_for(folder: Path, text: str) -> str:
    """What a started process has printed, as soon as ``text`` is in it."""
    output, deadline = folder / "output.txt", time.monotonic() + 60
    while time.monotonic() < deadline:
        if output.exists() and text in (printed := output.read_text(encoding="utf-8")):
            return printed
        time.sleep(0.01)
    raise AssertionError(f"no {text!r} in {output.read_text(encoding='utf-8')}")


def timesteps(folder: Path) -> int:
    return int(torch.load(folder / "run/checkpoints/last.ckpt", weights_only=True)["metadata"]["timesteps"])


def test_run_ends_at_the_exact_number_of_timesteps(fit, tmp_path):
    run = fit(tmp_path, "--timesteps=150")  # 64, 128 and a short iteration of 22
    assert (run.code, run.err, run.load()["metadata"]["timesteps"]) == (0, "", 150)
    assert [step for step, _ in run.scalars()["ppo/kl"]] == [64, 128, 150]


def test_finished_run_resumed_ends_at_once_and_changes_nothing(fit, tmp_path):
    last = (run := fit(tmp_path)).logdir / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    again = fit(tmp_path, "--ckpt_path=last")
    assert (again.code, last.read_bytes() == before, again.files) == (0, True, run.files)
    assert "Training speed" not in again.out
    assert "[OK] Nothing to do: the run is at 128 of 128 timesteps; to go on, raise --timesteps\n" in again.out


def handlers() -> dict[signal.Signals, Any]:
    return {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}


@pytest.fixture
def stop():
    """Listens to signals, and was not heard of by the tests after it."""
    before = handlers()
    listening: Any = Stop()
    listening.on_train_start(None, None)
    yield listening
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("end", [lambda stop: stop.on_fit_end(0, 0), lambda stop: stop.on_exception(0, 0, OSError())])
def test_signals_mean_what_they_did_when_the_run_is_over(end):
    before, stop = handlers(), Stop()
    stop.on_train_start(None, None)
    assert set(handlers().values()) == {stop._take_note}
    end(stop)
    assert handlers() == before


def test_only_a_second_ctrl_c_interrupts(stop):
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(signum)
        assert stop.signum == signum
    with pytest.raises(SystemExit) as left:
        signal.raise_signal(signal.SIGINT)
    assert left.value.code == 130


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_at_a_random_moment_saves_and_tells_by_the_exit_code(start, tmp_path, signum, seed):
    process = start(tmp_path, "--timesteps=1000000", "--save_interval=1000000", "--checkpoint.interval=1000000")
    wait_for(tmp_path, "[OK] Training speed")
    time.sleep(random.Random(seed * signum).random())
    os.kill(process.pid, signum)
    process.join(30)
    printed = (tmp_path / "output.txt").read_text(encoding="utf-8")
    trained = int(re.findall(r"at (\d+) timesteps", printed)[-1])
    assert (process.exitcode, timesteps(tmp_path)) == (128 + signum, trained)
    assert printed.count(f"[OK] Stopping after {signum.name}: saving") == 1


def press(signum: signal.Signals, out: io.StringIO, seconds: float) -> None:
    """Send this process a signal so long after it began to train."""
    deadline = time.monotonic() + 60
    while "[OK] Training speed" not in out.getvalue() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(seconds)
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signals_at_many_moments_each_leave_a_save_of_the_timestep_that_is_told(fit, tmp_path, signum):
    draw, endless = random.Random(int(signum)), 100_000_000
    saves = (f"--timesteps={endless}", f"--save_interval={endless}", f"--checkpoint.interval={endless}")
    for k in range(12):
        (folder := tmp_path / str(k)).mkdir()
        out = io.StringIO()
        thread = threading.Thread(target=press, args=(signum, out, draw.uniform(0, 0.3)))
        thread.start()
        run = fit(folder, *saves, out=out)
        thread.join()
        assert (run.code, run.err) == (128 + signum, "")
        assert timesteps(folder) == int(re.findall(r"at (\d+) timesteps", run.out)[-1])


class Impatient(L.Callback):
    """Presses Ctrl-C twice in the second iteration."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.datamodule.num_iterations == 2:  # of those that are collected
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)


def test_second_ctrl_c_interrupts_at_once_and_leaves_the_last_save(fit, tmp_path):
    run = fit(tmp_path, "--allow=test_stop", "--trainer.callbacks=test_stop.Impatient", "--timesteps=256")
    assert (run.code, run.load()["metadata"]["timesteps"]) == (130, 64)


def test_signal_before_training_has_begun_leaves_with_its_code(start, tmp_path):
    process = start(tmp_path)
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode in (143, -signal.SIGTERM)  # by our handler, or before Python has set any
