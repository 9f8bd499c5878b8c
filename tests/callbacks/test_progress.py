"""The progress bar: timesteps, in ASCII, and only where there is a terminal."""

import io
from typing import Any

import lightning as L  # noqa: N812

from rlbot.errors import TryAgainError


class Terminal(io.StringIO):
    """A console."""

    def isatty(self) -> bool:
        return True


def test_bar_counts_timesteps_in_ascii(fit, tmp_path):
    text = fit(tmp_path, "--timesteps=192", out=Terminal()).out
    assert text.isascii()
    assert "192/192" in text
    assert " timesteps/s" in text
    assert "touches_per_minute=" in text
    assert "timesteps_per_second=" in text


def test_bar_of_a_resumed_run_begins_where_it_stopped(fit, tmp_path):
    fit(tmp_path, "--timesteps=128")
    text = fit(tmp_path, "--timesteps=192", "--ckpt_path=last", out=Terminal()).out
    assert "128/192" in text
    assert "0.00/192" not in text


def test_lines_are_not_broken_by_the_bar(fit, tmp_path):
    text = fit(tmp_path, "--timesteps=192", out=Terminal()).out
    lines = text.replace("\r", "\n").splitlines()
    assert sum(line.startswith("[OK] Training speed: ") for line in lines) == 3


class Full(L.Callback):
    """A machine that has too little of something."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        raise TryAgainError("full")


def test_bar_of_a_run_that_fails_is_ended_before_the_reason_is_told(fit, tmp_path):
    words = ("--allow=test_progress", "--trainer.callbacks=test_progress.Full", "--timesteps=192")
    run = fit(tmp_path, *words, out=Terminal())
    assert (run.code, run.err) == (75, "[ERROR] full\n")
    assert run.out.endswith("]\n")


def test_bar_can_be_switched_off(fit, tmp_path):
    assert "\r" not in fit(tmp_path, "--trainer.enable_progress_bar=false", out=Terminal()).out


def test_there_is_no_bar_without_a_terminal(fit, tmp_path):
    assert "\r" not in fit(tmp_path).out
