"""Arenas with self-play beside arenas with an opponent, row by row as each kind alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from rlbot.errors import InputError
from rlbot.game.endings import Clock
from rlbot.game.env import RocketSimVectorEnv
from rlbot.game.match import Match
from rlbot.game.mixed import MixedVectorEnv, arenas
from rlbot.game.rewards import FacingBall
from rlbot.game.starts import Kickoff
from rlbot.league.opponents import Chaser, Idle
from rlbot.league.pool import Pool

ENDINGS = {"endings": [Clock(seconds=0.4)]}  # six steps


@pytest.mark.parametrize(
    ("num_envs", "share", "mode", "rows"),
    [
        (10, 0.2, "1v1", 16 + 2),
        (10, 0.29, "1v1", 14 + 3),
        (10, 0.2, "2v2", 32 + 4),
        (2, 0.01, "1v1", 2 + 1),
        (4, 0.99, "1v1", 2 + 3),
    ],
)
def test_share_of_the_arenas_has_an_opponent_and_fewer_rows(num_envs, share, mode, rows):
    assert MixedVectorEnv(num_envs, share, mode, Idle()).num_envs == rows


def test_rows_are_those_of_both_kinds_alone():
    mixed = MixedVectorEnv(3, 0.4, "1v1", Chaser(), **ENDINGS)
    alone = RocketSimVectorEnv(2, "1v1", None, **ENDINGS), RocketSimVectorEnv(1, "1v1", Chaser(), **ENDINGS)
    first, _ = mixed.reset(seed=5)
    assert_array_equal(first, np.concatenate([env.reset(seed=5 + 2 * k)[0] for k, env in enumerate(alone)]))
    actions = np.random.default_rng(1).uniform(-1, 1, (7, 5, 8)).astype(np.float32)
    for action in actions:
        *step, infos = mixed.step(action)
        stepped = [env.step(part) for env, part in zip(alone, (action[:4], action[4:]), strict=True)]
        *parts, ends = zip(*stepped, strict=True)
        for together, apart in zip(step, parts, strict=True):
            assert_array_equal(together, np.concatenate(apart))
        for name in infos:
            assert_array_equal(infos[name], np.concatenate([info[name] for info in ends]))
    expected = [env.take_statistics()["game/episode_seconds"] for env in alone]
    assert mixed.take_statistics()["game/episode_seconds"] == tuple(map(sum, zip(*expected, strict=True)))


def test_what_only_one_kind_has_to_tell_is_nothing_in_the_other():
    mixed = MixedVectorEnv(2, 0.5, "1v1", Idle(), **ENDINGS)
    mixed.reset(seed=1)
    mixed.match.reset(np.ones(1, bool))
    for _ in range(5):
        mixed.step(np.zeros((3, 8), np.float32))
    mixed.match.reset(np.ones(1, bool))  # so that its episode goes on
    *_, truncated, infos = mixed.step(np.zeros((3, 8), np.float32))
    assert truncated.tolist() == infos["_final_obs"].tolist() == [True, True, False]
    assert infos["final_obs"].shape == (3, 180)


def test_results_against_each_member_of_a_pool_are_counted():
    env = arenas(3, "1v1", Pool({"a": Idle(), "b": Idle()}), 1.0, **ENDINGS)
    env.reset(seed=1)
    for _ in range(12):
        env.step(np.zeros((3, 8), np.float32))
    taken = env.take_statistics()
    assert (taken["pool/a"], taken["pool/b"]) == ((2.0, 4.0), (1.0, 2.0))  # nobody scores: half a point each
    assert env.take_statistics()["pool/a"] == (0, 0)


def test_selfplay_alone_is_the_plain_environment():
    env = arenas(2, "1v1", None, 0.5)
    assert (type(env), env.num_envs, type(env.match)) == (RocketSimVectorEnv, 4, Match)


def test_one_arena_cannot_be_shared():
    with pytest.raises(InputError, match="at least 2 arenas in each worker"):
        arenas(1, "1v1", Idle(), 0.5)


def test_reward_weights_follow_the_run_in_both_kinds():
    env = MixedVectorEnv(2, 0.5, "1v1", Idle(), rewards=[FacingBall(1.0, weight_end=0.0)], starts=[Kickoff()])
    env.reset(seed=1)
    env.anneal(1.0)
    assert not env.step(np.zeros((3, 8), np.float32))[1].any()


def test_where_all_arenas_have_an_opponent_the_whole_team_learns():
    assert arenas(3, "2v2", Idle(), 1.0).num_envs == 6


def test_seconds_of_both_kinds_are_summed():
    env = MixedVectorEnv(2, 0.5, "1v1", Idle())
    for k, part in enumerate(env._parts):
        part.take_seconds = lambda k=k: {"physics": 1.0 + k}
    assert env.take_seconds() == {"physics": 3.0}
