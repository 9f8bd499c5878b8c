"""Physics that breaks down too often ends the run and leaves what it takes to find out why."""

import numpy as np
import pytest
import torch
from small_fit import fit

from callbacks.game_statistics import GameStatistics
from rlbot.game.env import RocketSimVectorEnv
from rlbot.game.mixed import MixedVectorEnv
from rlbot.league.opponents import Idle
from rlbot.ppo import iteration as iteration_module
from rlbot.ppo.acting import Acting
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.iteration import BrokenPhysicsError, judge_faults
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import CategoricalHead
from rlbot.ppo.rollout import Collector, allocate


class BreaksDown(RocketSimVectorEnv):
    """Tells of a fault in the first row of every fourth step."""

    steps = 0

    def step(self, actions):
        self.steps += 1
        *values, infos = super().step(actions)
        if self.steps % 4 == 0:
            infos["faulty"] = np.arange(self.num_envs) == 0
        return (*values, infos)


class Arenas(RolloutDataModule):
    """Two agents: a fault in each eighth of their steps."""

    def _make_env(self, mode, opponent):
        return lambda num_envs: BreaksDown(num_envs, mode, opponent)


def run(tmp_path, total_timesteps):
    torch.manual_seed(1)
    arenas = Arenas(num_envs=1, total_timesteps=total_timesteps, batch_size=16, minibatch_size=16, epochs=1)
    return arenas, fit(PPO(180, hidden_sizes=(8,)), arenas, GameStatistics(), default_root_dir=tmp_path)


def test_faults_are_counted_and_survived_while_there_are_few_steps(tmp_path):
    arenas, notes = run(tmp_path, total_timesteps=32)
    assert arenas.num_faults == 4  # iterations of 8, 8 and 2 steps: faults in steps 4, 8, 12 and 16
    assert arenas.state_dict() == {"timesteps": 32, "num_iterations": 3, "num_faults": 4}
    assert [row["game/faulty_steps"] for row in notes.scalars] == [2, 2, 0]


def test_too_many_faults_end_the_run_with_a_dump(tmp_path, monkeypatch):
    monkeypatch.setattr(iteration_module, "FAULTS_JUDGED_FROM", 30)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrokenPhysicsError, match=r"NaN in 4 of 32 timesteps; .*faults.pt: look at data.starts"):
        run(tmp_path, total_timesteps=1000)
    dump = torch.load(next(tmp_path.rglob("faults.pt")), weights_only=True)
    assert (dump["observations"].shape, dump["actions"].shape) == ((2, 180), (2,))


@pytest.mark.parametrize("kind", [RocketSimVectorEnv, MixedVectorEnv])
def test_step_that_the_physics_broke_is_not_learned_from(kind):
    settings = (2, "1v1", None) if kind is RocketSimVectorEnv else (3, 0.4, "1v1", Idle())  # then 2 arenas of self-play
    env, policy = kind(*settings), PPO(180, hidden_sizes=(8,)).policy
    collector = Collector(env)
    collector.reset(1)
    (env if kind is RocketSimVectorEnv else env._selfplay).match.arenas.break_down(1)
    rollout = allocate(3, collector.num_agents, 180, policy.head)
    collector.collect(Acting(policy), rollout, torch.Generator().manual_seed(1))
    broken = torch.ones_like(rollout.valid)
    broken[0, 2:4] = False  # both cars of arena 1, in the first step
    assert torch.equal(rollout.valid, broken)
    assert torch.isfinite(rollout.observations).all()


@pytest.mark.parametrize(("num_faults", "num_steps"), [(10, 100_000), (9_999, 99_999)])
def test_one_fault_in_ten_thousand_steps_is_survived(num_faults, num_steps):
    judge_faults(num_faults, num_steps, allocate(1, 1, 3, CategoricalHead(2)), None)


def test_more_are_not(tmp_path):
    with pytest.raises(BrokenPhysicsError, match="NaN in 11 of 100000 timesteps"):
        judge_faults(11, 100_000, allocate(1, 1, 3, CategoricalHead(2)), str(tmp_path))
