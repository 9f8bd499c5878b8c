"""Statistics of the game in TensorBoard: each is what its own iteration counted, total over amount."""

from typing import Any

import gymnasium as gym
import lightning as L  # noqa: N812
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlbot.game.statistics import GAIN
from rlbot.league.pool import RESULTS
from rlbot.ppo.iteration import Iteration

FAST = "--data.endings=[{class_path: rlbot.game.endings.NoTouch, init_args: {seconds: 0.8}}]"  # twelve steps


class Notebook(L.Callback):
    """Keeps every iteration's own counts."""

    iterations: list[Iteration] = []  # noqa: RUF012

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.iterations.append(trainer.datamodule.iteration)


class Countdown(gym.Env[np.ndarray, int]):
    """Four steps with rewards 1, 2, 3, 4, then the episode is over."""

    observation_space = gym.spaces.Box(-1, 1, (3,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.step_number = 0
        return np.zeros(3, np.float32), {}

    def step(self, action: int) -> Any:
        self.step_number += 1
        return np.zeros(3, np.float32), float(self.step_number), self.step_number == 4, False, {}


class Countdowns(SyncVectorEnv):
    """Two of them side by side."""

    def __init__(self) -> None:
        super().__init__([Countdown, Countdown], autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.fixture(scope="module")
def run(fit, tmp_path_factory):
    Notebook.iterations.clear()
    folder = tmp_path_factory.mktemp("statistics")
    user = ("--allow", "test_game_statistics", "--trainer.callbacks=test_game_statistics.Notebook")
    return fit(folder, "--data.batch_size=128", "--timesteps=384", FAST, *user)


def test_each_statistic_is_its_iterations_total_over_its_amount(run):
    logged = run.scalars()
    assert len(Notebook.iterations) == 3
    for i, iteration in enumerate(Notebook.iterations):
        for name in ("game/speed", "game/boost", "game/touches_per_minute", "reward/speed_toward_ball"):
            total, amount = iteration.statistics[name]
            assert logged[name][i] == (128 * (i + 1), pytest.approx(total / amount, rel=1e-5))


def test_reward_terms_and_endings_have_a_tag_each(run):
    tags = set(run.scalars())
    assert tags >= {
        "reward/goal", "reward/touch", "reward/speed_toward_ball", "reward/ball_toward_goal", "reward/facing_ball",
        "game/goals_per_minute", "game/ended_by_notouch", "game/episode_seconds", "game/faulty_steps",
    }  # fmt: skip


def test_episodes_that_time_out_have_the_length_of_the_time_out(run):
    logged = run.scalars()
    assert logged["game/episode_steps"] == [(128, 12), (256, 12), (384, 12)]
    assert [value for _, value in logged["game/episode_seconds"]] == pytest.approx([0.8, 0.8, 0.8])
    assert logged["game/ended_by_notouch"] == [(128, 1), (256, 1), (384, 1)]


def test_what_others_go_by_is_not_logged(fit, tmp_path):
    Notebook.iterations.clear()
    stage, user = "--curriculum.stages=[{mode: 1v2, opponent: checkpoint}]", "--allow=test_game_statistics"
    run = fit(tmp_path, stage, FAST, user, "--trainer.callbacks=test_game_statistics.Notebook")
    hidden, counted = (GAIN, RESULTS), Notebook.iterations[0].statistics
    assert all(any(name.startswith(part) and amount for name, (_, amount) in counted.items()) for part in hidden)
    assert not [tag for tag in run.scalars() if tag.startswith(hidden)]


def test_statistics_without_an_episode_are_left_out_and_not_zero(fit, tmp_path):
    logged = fit(tmp_path, "--timesteps=64").scalars()  # 16 steps: no episode ends in so short a time
    assert not {"game/episode_return", "game/episode_steps", "game/episode_seconds"} & set(logged)


def test_returns_of_a_users_own_environment(fit, tmp_path):
    run = fit(
        tmp_path, "--allow=test_game_statistics", "--curriculum.stages=[]", "--timesteps=64",
        "--model.half_life=null", "--model.symmetry=null", "--model.close_up=false", "--model.gamma=0.99",
        '--data.env={"class_path": "test_game_statistics.Countdowns"}',
        '--model.head={"class_path": "rlbot.ppo.policy.CategoricalHead", "init_args": {"num_actions": 2}}',
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    assert run.scalars()["game/episode_return"] == [(64, 10)]  # 1 + 2 + 3 + 4
    assert run.scalars()["game/episode_steps"] == [(64, 4)]
    assert run.scalars()["game/episodes"] == [(64, 16)]
