"""What the curriculum does after an iteration, one by one and without arenas."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks import Curriculum, Stage, Until
from rlbot.league.past_selves import PoolSettings
from rlbot.league.pool import RESULTS
from rlbot.ppo.module import PPO

THREE = [
    Stage("1v1", until=Until(max_timesteps=100)),
    Stage("1v2", opponent="checkpoint", until=Until(max_timesteps=200)),
    Stage("2v2"),
]


class Fit:
    """A fit in which nothing happens between the ends of iterations.

    Attributes:
        played: mode, share of the arenas against an opponent, and the opponent, at each change.
    """

    def __init__(self, folder, stages, saved=None, timesteps=0, **pool):
        torch.manual_seed(1)
        self.curriculum, self.played, self.printed = Curriculum(stages, PoolSettings(**pool)), [], []
        self.module: Any = PPO(hidden_sizes=(8,))
        self.module.record, self.module.print = self.printed.append, self.printed.append
        data = SimpleNamespace(timesteps=timesteps, iteration=None, play=self._play)
        self.trainer: Any = SimpleNamespace(
            datamodule=data, callbacks=[self.curriculum], log_dir=str(folder), ckpt_path=None, is_global_zero=True
        )
        if saved is not None:
            self.curriculum.load_state_dict(saved)
        self.curriculum.on_fit_start(self.trainer, self.module)

    def _play(self, mode, opponent, share):
        self.played.append((mode, share, opponent))

    def iterate(self, timesteps, touches=(0.0, 1.0), **results):
        """End an iteration; touches and results are totals over amounts."""
        statistics = {"game/touches_per_minute": touches} | {RESULTS + name: one for name, one in results.items()}
        self.trainer.datamodule.timesteps += timesteps
        self.trainer.datamodule.iteration = SimpleNamespace(timesteps=timesteps, statistics=statistics)
        self.curriculum.on_train_epoch_end(self.trainer, self.module)
        return self.curriculum.index


def test_touches_are_those_of_a_minute(tmp_path):
    fit = Fit(tmp_path, [Stage("1v1", until=Until(touches_per_minute=12)), Stage("2v2")])
    assert [fit.iterate(64, touches) for touches in ((0.0, 0.0), (30.0, 3.0), (30.0, 2.5))] == [0, 0, 1]


def test_stage_that_was_begun_before_a_resume_is_as_long_as_without_one(tmp_path):
    fit = Fit(tmp_path, THREE)
    assert [fit.iterate(64) for _ in range(4)] == [0, 1, 1, 1]  # since 128
    again = Fit(tmp_path, THREE, fit.curriculum.state_dict(), timesteps=256)
    assert [again.iterate(64) for _ in range(2)] == [1, 2]  # 192 timesteps, then 256


def test_plan_that_became_shorter_goes_on_in_its_last_stage(tmp_path):
    fit = Fit(tmp_path, THREE, {"stage": 2, "begun_at": 300}, timesteps=400)
    assert fit.played == [("2v2", 0.0, None)]
    fit = Fit(tmp_path, [THREE[0], Stage("1v1", pool_share=0.5)], {"stage": 2, "begun_at": 300}, timesteps=400)
    assert [one[:2] for one in fit.played] == [("1v1", 0.5)]


def test_past_selves_are_kept_whenever_a_multiple_is_passed_and_who_plays_is_drawn_anew(tmp_path):
    fit = Fit(tmp_path, [Stage("1v1", pool_share=0.25)], interval=100, num_opponents=50)
    first = fit.curriculum.past_selves.deal
    assert set(first) == {"timesteps_000000000000"}
    for _ in range(4):  # to 64, 128, 192, 256
        fit.iterate(64)
    assert [*fit.curriculum.past_selves.by_timesteps()] == [0, 128, 256]
    assert len(fit.played) == 3  # at the start, and with each past self
    drawn = fit.curriculum.past_selves.deal
    assert set(drawn) == {f"timesteps_{timesteps:012d}" for timesteps in (0, 128, 256)}


def test_every_draw_has_noise_of_its_own(tmp_path, monkeypatch):
    fit, seeds = Fit(tmp_path, [Stage("1v1", pool_share=0.25)], interval=100), []
    monkeypatch.setattr(fit.curriculum.past_selves, "draw", seeds.append)
    fit.iterate(100)
    fit.iterate(100)
    assert seeds == [[1, 100], [1, 200]]  # the run's seed, and timesteps


def test_results_are_counted_for_those_who_play(tmp_path):
    fit = Fit(tmp_path, [Stage("1v1", pool_share=0.25)], guests=["idle"], half_life=64)
    fit.iterate(64, idle=(3.0, 4.0))
    fit.iterate(64, idle=(1.0, 2.0))
    assert fit.curriculum.past_selves.results == {"idle": [2.5, 4.0]}


def test_past_self_that_cannot_be_saved_does_not_end_the_run(tmp_path, monkeypatch):
    fit = Fit(tmp_path, [Stage("1v1")], interval=64)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fit.curriculum.past_selves, "add", full)
    assert fit.iterate(64) == 0
    assert fit.printed[-1] == "[ERROR] Past self of 64 timesteps not saved (No space left on device): training goes on"


@pytest.mark.parametrize("rank_zero", [True, False])
def test_only_the_first_process_keeps_past_selves(tmp_path, rank_zero):
    fit = Fit(tmp_path, [Stage("1v1")], interval=64)
    fit.trainer.is_global_zero = rank_zero
    fit.iterate(64)
    assert len(fit.curriculum.past_selves.files) == rank_zero
