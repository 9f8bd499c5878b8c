"""Environments of RLGym v2's parts: a stand-in that counts, and the real ones, which are fetched for this."""

import re
import subprocess
import sys
from itertools import count

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rlbot.__main__ import ROOT
from rlbot.errors import InputError
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.rlgym import RLGymArenas, RLGymVectorEnv
from rlbot.sim.meshes import REQUIREMENT

MY_BOT = """
from rlgym.api import RLGym
from rlgym.rocket_league.action_parsers import LookupTableAction, RepeatAction
from rlgym.rocket_league.done_conditions import GoalCondition, NoTouchTimeoutCondition
from rlgym.rocket_league.obs_builders import DefaultObs
from rlgym.rocket_league.reward_functions import CombinedReward, GoalReward, TouchReward
from rlgym.rocket_league.sim import RocketSimEngine
from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, KickoffMutator, MutatorSequence


def build():  # of two cars: with more RocketSim visits them in an order that is not always the same
    return RLGym(
        state_mutator=MutatorSequence(FixedTeamSizeMutator(1, 1), KickoffMutator()),
        obs_builder=DefaultObs(zero_padding=1),
        action_parser=RepeatAction(LookupTableAction(), repeats=8),
        reward_fn=CombinedReward((GoalReward(), 10.0), TouchReward()),
        termination_cond=GoalCondition(),
        truncation_cond=NoTouchTimeoutCondition(1),
        transition_engine=RocketSimEngine(),
    )
"""
BY_HAND = """
import my_bot, numpy as np, random
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.rlgym import RLGymVectorEnv

actions = np.random.default_rng(1).integers(0, 90, (40, 4))
envs = RLGymVectorEnv(my_bot.build, 2)
envs.reset(seed=5)
again = [envs.step(row)[0] for row in actions]
envs.reset(seed=5)
found = [envs.step(row) for row in actions]
assert np.array_equal(again, [step[0] for step in found])

arenas = [my_bot.build(), my_bot.build()]
random.seed(5)
for arena in arenas:
    arena.reset()
ended = 0
for row, (following, rewards, terminated, truncated, infos) in zip(actions, found):
    for k, arena in enumerate(arenas):
        agents, mine = arena.agents, slice(2 * k, 2 * k + 2)
        seen, paid, over, cut = arena.step({a: np.array([x]) for a, x in zip(agents, row[mine])})
        assert [paid[a] for a in agents] == rewards[mine].tolist()
        assert [over[a] for a in agents] == terminated[mine].tolist()
        assert [cut[a] for a in agents] == truncated[mine].tolist()
        if any(over.values()) or any(cut.values()):
            ended += 1
            assert np.array_equal(infos["final_obs"][mine], np.float32([seen[a] for a in agents]))
            seen = arena.reset()
        assert np.array_equal(following[mine], np.float32([seen[a] for a in agents]))
assert 2 <= ended < 10
print(envs.single_observation_space.shape, envs.single_action_space, envs.num_envs)
"""


class Arena:
    """Agents that count the steps of their episode: observations (arena, agent, episode, step)."""

    numbers = count()

    def __init__(self, num_agents=2, space=("discrete", 5)):
        self.number, self.num_agents, self.space = next(self.numbers), num_agents, space
        self.episode, self.ends, self.asked, self.closed, self.size = -1, {}, [], False, 4
        self.bad, self.heals, self.pays = np.float64(0), False, 10.0

    @property
    def agents(self):
        return [f"car-{k}" for k in range(self.num_agents)]

    def action_space(self, agent):
        return self.space

    def _seen(self):
        return {
            agent: (np.array([self.number, k, self.episode, self.step_number, *[0] * 9]) + self.bad)[: self.size]
            for k, agent in enumerate(self.agents)
        }

    def reset(self):
        self.episode, self.step_number = self.episode + 1, 0
        self.bad = np.float64(0) if self.heals else self.bad
        return self._seen()

    def step(self, actions):
        self.asked.append(actions)
        self.step_number += 1
        ends = self.ends.get((self.episode, self.step_number), {})
        flags = [{agent: kind in ends.get(agent, "") for agent in self.agents} for kind in ("terminated", "truncated")]
        return self._seen(), {agent: self.pays * k for k, agent in enumerate(self.agents)}, *flags

    def close(self):
        self.closed = True


class Faulty(Arena):
    def reset(self):
        raise TypeError("a typo")


@pytest.fixture
def made():
    """Arenas in the order in which they were made; ``made.env(...)`` makes them."""

    class Made(list):
        def env(self, *sizes, **settings):
            left = iter(sizes)

            def make():
                self.append(Arena(next(left, 2), **settings))
                return self[-1]

            Arena.numbers = count()
            return RLGymVectorEnv(make, len(sizes))

    return Made()


def test_each_agent_is_a_row_and_gets_its_own_action(made):
    envs = made.env(2, 1)
    assert (envs.num_envs, envs.single_action_space) == (3, Discrete(5))
    observations, infos = envs.reset(seed=3)
    assert (observations.tolist(), infos) == ([[0, 0, 1, 0], [0, 1, 1, 0], [1, 0, 1, 0]], {})
    following, rewards, terminated, truncated, infos = envs.step(np.array([4, 3, 2]))
    assert following.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1]]
    assert following.dtype == rewards.dtype == np.float32
    assert rewards.tolist() == [0, 10, 0]
    assert not terminated.any()
    assert not truncated.any()
    assert infos == {}
    assert [arena.asked for arena in made] == [[{"car-0": [4], "car-1": [3]}], [{"car-0": [2]}]]
    envs.close()
    assert all(arena.closed for arena in made)


def test_the_end_of_one_agent_ends_its_arena_and_no_other(made):
    envs = made.env(2, 2)
    envs.reset()
    made[0].ends = {(1, 2): {"car-1": "terminated"}}
    envs.step(np.zeros(4, int))
    following, _, terminated, truncated, infos = envs.step(np.zeros(4, int))
    assert terminated.tolist() == [False, True, False, False]
    assert truncated.tolist() == [True, False, False, False]
    assert infos["_final_obs"].tolist() == [True, True, False, False]
    assert infos["final_obs"].tolist() == [[0, 0, 1, 2], [0, 1, 1, 2], [1, 0, 1, 2], [1, 1, 1, 2]]
    assert following.tolist() == [[0, 0, 2, 0], [0, 1, 2, 0], [1, 0, 1, 2], [1, 1, 1, 2]]


def test_an_agent_that_is_both_terminated_and_truncated_is_terminated(made):
    envs = made.env(1)
    made[0].ends = {(0, 1): {"car-0": "terminated, truncated"}}
    _, _, terminated, truncated, _ = envs.step(np.zeros(1, int))
    assert (terminated.tolist(), truncated.tolist()) == ([True], [False])


def test_a_step_after_which_anything_but_numbers_is_seen_is_marked_and_ends_the_episode(made):
    envs = made.env(2, 2)
    made[1].bad, made[1].ends = np.nan, {(0, 1): {"car-0": "terminated"}}
    made[1].heals = True
    following, rewards, terminated, truncated, infos = envs.step(np.zeros(4, int))
    assert infos["faulty"].tolist() == truncated.tolist() == infos["_final_obs"].tolist() == [False, False, True, True]
    assert not terminated.any()
    assert rewards.tolist() == [0, 10, 0, 0]
    assert infos["final_obs"].tolist() == [[0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert following.tolist() == [[0, 0, 0, 1], [0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 1, 0]]
    assert envs.step(np.zeros(4, int))[4] == {}
    made[1].bad, made[1].heals = np.nan, False
    with pytest.raises(InputError, match="NaN or infinity after a reset"):
        envs.step(np.zeros(4, int))


def test_a_reward_that_is_no_number_is_the_users_fault(made):
    envs = made.env(2)
    made[0].pays = np.inf
    with pytest.raises(InputError, match="reward that is NaN or infinite"):
        envs.step(np.zeros(2, int))


@pytest.mark.parametrize(
    ("given", "space", "chosen", "asked"),
    [
        (("real", 3), Box(-1, 1, (3,)), [-2.0, 0.5, 7.0], [-1.0, 0.5, 1.0]),
        ((3.0, "continuous"), Box(-1, 1, (3,)), [-2.0, 0.5, 7.0], [-1.0, 0.5, 1.0]),
        (Discrete(3), Discrete(3), [1], [1]),
    ],
)
def test_action_spaces_of_rlgym_and_of_gymnasium(made, given, space, chosen, asked):
    envs = made.env(1, space=given)
    assert envs.single_action_space == space
    envs.step(np.array([chosen]))
    assert made[0].asked[0]["car-0"].tolist() == asked


def test_what_cannot_be_used_is_refused_in_one_line(made):
    with pytest.raises(InputError, match=r"make=dict gave dict: it must return the RLGym\(...\) itself"):
        RLGymArenas(dict)(1)
    with pytest.raises(InputError, match=r"action space \('what', 3\) is neither"):
        made.env(1, space=("what", 3))
    with pytest.raises(InputError, match="without agents"):
        made.env(0)
    envs = made.env(2, 2)
    made[-1].size = 5
    with pytest.raises(InputError, match=r"shape \(4,\) and \(5,\)"):
        envs.reset()
    made[-1].size, made[-1].num_agents = 4, 3
    with pytest.raises(InputError, match="of 2 agents was reset with 3"):
        envs.reset()


def test_arenas_that_are_made_cannot_be_resumed_bit_by_bit_and_their_errors_stay_errors():
    with pytest.raises(ValueError, match="exact_resume=true"):
        RolloutDataModule(env=RLGymArenas(Arena), exact_resume=True)
    with pytest.raises(RuntimeError, match=r"data\.env failed: a typo"):
        RolloutDataModule(env=RLGymArenas(Faulty))
    assert RolloutDataModule(env=RLGymArenas(Arena), num_envs=3, num_workers=0).num_arenas == 3


@pytest.fixture(scope="module")
def with_rlgym(tmp_path_factory):
    """A folder with ``my_bot.py`` and the README's ``mine.yaml``, and the environment variable to find RLGym by."""
    folder = tmp_path_factory.mktemp("rlgym")
    packages = ["--no-deps", "--target", str(folder / "packages"), "rlgym-api==2.0.0", REQUIREMENT]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True, timeout=300)
    (folder / "my_bot.py").write_text(MY_BOT)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (mine,) = (text for text in re.findall("```yaml\n(.*?)```", readme, flags=re.DOTALL) if "RLGymArenas" in text)
    (folder / "mine.yaml").write_text(mine)
    return folder, {"PYTHONPATH": str(folder / "packages")}


def test_real_parts_give_what_they_give_by_themselves(train, with_rlgym):
    folder, environment = with_rlgym
    done = train(folder, python=("-c", BY_HAND), **environment)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("(92,) Discrete(90) 4\n")


def test_what_the_readme_says_trains_real_parts_in_worker_processes(train, with_rlgym):
    folder, environment = with_rlgym
    sizes = ("--timesteps=96", "--data.batch_size=48", "--data.minibatch_size=24", "--data.num_envs=3")
    files = ("--config=configs/base.yaml", "--config=mine.yaml", "--allow=my_bot")
    run = train(folder, *files, *sizes, "--data.num_workers=2", **environment)
    assert (run.code, run.err) == (0, "")
    assert "[OK] RLGymVectorEnv with 3 environments created (6 agents)" in run.out
    assert run.load()["metadata"]["timesteps"] == 96
