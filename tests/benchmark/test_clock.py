"""The clock: when a training touches the ball often enough, and how each of the two is read and ended."""

import json
import sys
import time

import psutil
import pytest

from rlbot.benchmark import clock
from rlbot.benchmark.clock import Point
from rlbot.errors import InputError

# Ctrl-C ends it also where it is ignored from the start, as in the background of a shell.
SLEEPS = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler); time.sleep(60)"


def points(*touches, size=50_000):
    return [Point(10.0 * k, size * k, value) for k, value in enumerate(touches, start=1)]


def test_touches_are_averaged_over_a_hundred_thousand_timesteps():
    assert clock.mean_touches(points(99, 4, 8)) == 6
    assert clock.mean_touches([Point(1, 50_000, 4), Point(2, 150_000, 7)]) == 7
    assert clock.mean_touches([Point(1, 30_000, 4), Point(2, 90_000, 7)]) == 6  # as far as there is anything


def test_reached_at_the_first_window_that_has_enough():
    assert clock.reached(points(1, 9, 11, 30)) == Point(30, 150_000, 10)
    assert clock.reached(points(1, 9, 10, 9, 10)) is None
    assert clock.reached(points(50, size=99_000)) is None  # not a whole window yet


def test_a_training_is_ended_when_it_is_good_enough(tmp_path):
    out = tmp_path / "out"
    writes = f"import os, pathlib; pathlib.Path({str(out)!r}).write_text(str(os.getpid())); {SLEEPS}"
    seen = []

    def read(begun):
        seen.append(begun)
        return [Point(30, 100_000, 12.5)] if out.is_file() and out.read_text() else []

    found = clock.train([sys.executable, "-c", writes], read, minutes=5)
    assert found == {"reached": True, "minutes": 0.5, "timesteps": 100_000, "touches_per_minute": 12.5}
    assert not psutil.pid_exists(int(out.read_text()))
    assert len(set(seen)) == 1


def test_a_training_is_ended_when_its_time_is_over():
    found = clock.train([sys.executable, "-c", SLEEPS], lambda begun: points(2, 4), minutes=0.01)
    assert found == {"reached": False, "minutes": 0.01, "timesteps": 100_000, "touches_per_minute": 3}


def test_a_training_that_fails_is_named_with_its_last_line():
    words = [sys.executable, "-c", "print('first'); raise SystemExit('no meshes')"]
    with pytest.raises(InputError, match="no meshes"):
        clock.train(words, lambda begun: [], minutes=1)


def test_ours_is_read_from_its_own_events(tmp_path, fit):
    assert fit(tmp_path, "--timesteps", "96").code == 0
    command, read = clock.ours(tmp_path, ["--seed_everything=3"])
    assert command[2:] == ["--seed_everything=3", f"--logdir={tmp_path / 'run'}"]
    found = read(time.time() - 1000)
    assert found[-1].timesteps == 96
    assert 0 < found[0].seconds <= found[-1].seconds < 1001
    assert all(point.touches >= 0 for point in found)
    assert clock.ours(tmp_path / "nothing", [])[1](0.0) == []


def test_theirs_is_read_line_by_line_but_for_one_that_is_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr(clock.peer, "environment", lambda: "python")
    command, read = clock.theirs(tmp_path, "guide", processes=8)
    assert {"--processes=8", "--rewards=guide"} <= set(command)
    assert read(0.0) == []
    written = [{"timesteps": 50_000 + k, "time": 100.0 + k, "touches_per_minute": k} for k in range(2)]
    lines = "".join(json.dumps(line) + "\n" for line in written)
    (tmp_path / "iterations.jsonl").write_text(lines + '{"timesteps"', encoding="utf-8")
    assert read(90.0) == [Point(10, 50_000, 0), Point(11, 100_001, 1)]


def test_every_training_has_its_turn_and_its_line(tmp_path, monkeypatch, capsys):
    def training(*touches):
        return [sys.executable, "-c", SLEEPS], lambda begun: points(*touches)

    monkeypatch.setattr(clock, "ours", lambda folder, words: training(0, 12, 12))
    monkeypatch.setattr(clock, "theirs", lambda folder, name, processes: training(*range(processes)))
    found = clock.clock([], processes=2, minutes=0.01)
    assert [(name, result["reached"]) for name, result in found.items()] == [
        ("ours", True),
        ("speed_test", False),
        ("guide", False),
    ]
    assert capsys.readouterr().out.count("[OK] ") == 3


def test_people_read_one_line_a_training():
    result = {"reached": True, "minutes": 0.94, "timesteps": 802_816, "touches_per_minute": 10.2}
    assert clock.line("ours", result) == (
        "this trainer: 10 touches a minute a car after 0.9 minutes (10.2 at 802,816 timesteps)"
    )
    assert "its speed test: 10 touches a minute a car not reached within 0.9" in clock.line(
        "speed_test", result | {"reached": False}
    )
