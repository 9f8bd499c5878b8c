"""The progress bar: timesteps, in ASCII, and only where there is a terminal."""

import io


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


def test_bar_of_a_resumed_run_begins_where_it_stopped(fit, tmp_path):
    fit(tmp_path, "--timesteps=128")
    text = fit(tmp_path, "--timesteps=192", "--ckpt_path=last", out=Terminal()).out
    assert "128/192" in text
    assert "0.00/192" not in text


def test_lines_are_not_broken_by_the_bar(fit, tmp_path):
    text = fit(tmp_path, "--timesteps=192", out=Terminal()).out
    lines = text.replace("\r", "\n").splitlines()
    assert sum(line.startswith("[OK] Training speed: ") for line in lines) == 3


def test_bar_can_be_switched_off(fit, tmp_path):
    assert "\r" not in fit(tmp_path, "--trainer.enable_progress_bar=false", out=Terminal()).out


def test_there_is_no_bar_without_a_terminal(fit, tmp_path):
    assert "\r" not in fit(tmp_path).out
