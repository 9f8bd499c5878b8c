"""What is made of rlgym-learn's own measurements; the peer itself is run by ``--peer`` only."""

import pytest

from rlbot.benchmark.measure import Run
from rlbot.benchmark.peer import compare, speeds
from rlbot.benchmark.recorder import Iteration, Pieces
from rlbot.benchmark.table import report

ITERATIONS = [
    {"timesteps": 50_000, "collect_seconds": 8.0, "seconds": 10.0},
    {"timesteps": 50_000, "collect_seconds": 12.0, "seconds": 15.0},
]


def run(seconds: float) -> Run:
    parts = {"physics": 1.0, "observe": 0.1, "reward": 0.1, "infer": 0.1, "collect": 2.0}
    return Run({}, 0.0, [Iteration(100_000, seconds, 2.0, parts)], Pieces())


def test_speeds_come_from_all_iterations():
    assert speeds(ITERATIONS) == {"collect": 5000.0, "learn": 20_000.0, "overall": 4000.0}


def test_ratios_are_of_neighbouring_runs():
    theirs = [{"collect": 5000.0, "learn": 1.0, "overall": overall} for overall in (4000.0, 8000.0, 5000.0)]
    found = compare([run(5.0), run(4.0), run(10.0)], theirs, processes=8)
    assert found["ratio"]["overall"] == {"median": 3.125, "min": 2.0, "max": 5.0}
    assert found["ratio"]["collect"]["median"] == 10.0
    assert (found["collect"], found["overall"], found["processes"]) == (5000.0, 5000.0, 8)


def test_report_tells_the_ratio():
    from rlbot.benchmark.measure import summary

    ours = Run({"num_envs": 4, "num_workers": 0, "mode": "1v1", "agents": 8}, 0.0, run(5.0).iterations, Pieces())
    text = report({**summary([ours]), "peer": compare([ours], [speeds(ITERATIONS)], processes=8)})
    assert "ours / rlgym-learn, overall: 5.0 (5.0 to 5.0)" in text
    assert text.isascii()


def test_no_iterations_are_no_speed():
    assert speeds([]) == pytest.approx({"collect": 0.0, "learn": 0.0, "overall": 0.0})
