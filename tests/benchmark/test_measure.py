"""The figures of runs, from times written by hand."""

import dataclasses

import pytest

from rlbot.benchmark.measure import Busy, Run, summary
from rlbot.benchmark.recorder import Iteration, Pieces
from rlbot.benchmark.table import report

PARTS = {"physics": 2.0, "observe": 0.5, "reward": 0.25, "infer": 1.0}
PIECES = Pieces(seconds=10.0, load=5.0, learn=4.5, checkpoint=0.1)


def run(seconds: float, waited: float, collect: float, num_workers: int = 0) -> Run:
    facts = {"num_envs": 8, "num_workers": num_workers, "mode": "1v1", "agents": 16}
    return Run(facts, 0.25, [Iteration(1000, seconds, waited, {**PARTS, "collect": collect})] * 2, PIECES)


def test_speeds_are_timesteps_over_the_time_of_each_phase():
    assert run(10.0, 5.0, 4.0).speeds == {"physics_only": 500.0, "collect": 200.0, "learn": 200.0, "overall": 100.0}


def test_shares_are_of_wall_time_and_add_up():
    share = summary([run(10.0, 5.0, 4.0)])["share"]
    assert share == pytest.approx(
        {"physics": 0.2, "observe": 0.05, "reward": 0.025, "infer": 0.1, "learn": 0.5, "other": 0.125}
    )


def test_overlapped_collecting_has_the_share_that_was_waited_for():
    found = summary([run(10.0, 1.0, 4.0)])
    assert found["collect"] == 250.0
    assert found["share"]["learn"] == pytest.approx(0.9)
    assert found["share"]["physics"] == pytest.approx(0.05)
    assert sum(found["share"].values()) == pytest.approx(1)


def test_time_outside_physics_is_that_of_one_process():
    assert summary([run(10.0, 5.0, 4.0)])["outside_physics_us"] == pytest.approx(3000)
    assert summary([run(10.0, 5.0, 4.0, num_workers=2)])["outside_physics_us"] == pytest.approx(6000)
    assert summary([run(10.0, 5.0, 4.0, num_workers=2)])["physics_us"] == pytest.approx(4000)


def test_median_and_extremes_are_those_of_the_runs():
    found = summary([run(10.0, 5.0, 4.0), run(20.0, 5.0, 4.0), run(5.0, 4.0, 4.0)])
    assert found["spread"]["overall"] == {"median": 100.0, "min": 50.0, "max": 200.0}
    assert found["timesteps_per_second"] == 100.0


def test_lightning_has_what_neither_the_loader_nor_learning_took():
    found = summary([run(10.0, 5.0, 4.0)])
    assert (found["lightning_share"], found["checkpoint_share"]) == pytest.approx((0.05, 0.01))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([0.02, 0.05], "up; others took up to 5% of the cores\n"),
        ([0.02, 0.25], "up; others took up to 25% of the cores: repeat this on a quiet machine\n"),
        ([None, None], "up\n"),  # nobody knows
    ],
)
def test_what_others_took_is_told_where_it_is_known(others, said):
    runs = [dataclasses.replace(run(10.0, 5.0, 4.0), others=share) for share in others]
    assert f"one to warm {said}" in report(summary(runs))


def test_own_work_is_not_that_of_others(monkeypatch):
    seconds = iter([(100.0, 50.0, 20.0), (110.0, 57.0, 24.0)])  # of all cores, those worked in, those for us
    monkeypatch.setattr(Busy, "_read", staticmethod(lambda: next(seconds)))
    assert Busy().others() == pytest.approx(0.3)  # of ten seconds seven were worked in, four of them by us


def test_seconds_of_the_cores_hold_those_that_were_worked_in_and_those_hold_ours():
    every, worked, ours = Busy._read()
    assert every > worked > 0
    sum(range(3_000_000))
    assert Busy._read()[2] > ours > 0
