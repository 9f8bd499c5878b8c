"""The Gymnasium environments: the contract, the registered id, and many arenas equal to as many single ones."""

from itertools import product

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.testing import assert_array_equal

import rlbot  # noqa: F401 - registers the id
from rlbot.game.actions import TABLE
from rlbot.game.endings import Clock, Ending, NoTouch, Scored
from rlbot.game.env import RocketSimEnv, RocketSimVectorEnv

ID = "RocketLeague/Soccar-v0"
SHORT = [Scored(), Clock(seconds=1), NoTouch(seconds=0.6)]


def table_actions(steps, rows, seed=0):
    return TABLE[np.random.default_rng(seed).integers(90, size=(steps, rows))]


@pytest.mark.filterwarnings("error", "ignore:.*A Box observation space m")  # of bounds at infinity
@pytest.mark.parametrize("settings", [{}, {"mode": "2v2", "opponent": "chaser", "tick_skip": 4}])
def test_gymnasium_accepts_the_single_env(settings):
    check_env(gymnasium.make(ID, **settings).unwrapped)


def test_the_spaces_are_180_numbers_and_eight_controls():
    env = gymnasium.make(ID)
    assert env.observation_space == Box(-np.inf, np.inf, (180,), np.float32)
    assert env.action_space == Box(-1, 1, (8,), np.float32)
    observation, info = env.reset(seed=1)
    assert observation in env.observation_space
    assert info == {}
    observation, reward, *flags, info = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert isinstance(reward, float)
    assert [type(flag) for flag in flags] == [bool, bool]


def test_make_vec_makes_sixteen_arenas_in_one_process():
    envs = gymnasium.make_vec(ID, num_envs=16)
    assert isinstance(envs.unwrapped, RocketSimVectorEnv)
    assert envs.observation_space == Box(-np.inf, np.inf, (16, 180), np.float32)
    assert envs.action_space == Box(-1, 1, (16, 8), np.float32)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, _ = envs.reset(seed=1)
    assert observations in envs.observation_space
    observations, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert observations in envs.observation_space
    assert [array.shape for array in (rewards, terminated, truncated)] == [(16,)] * 3
    assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float32, bool, bool)


def play_singles(steps, seed, mode, opponent, next_step):
    """What a vector env has to give, from as many single envs as ``steps`` has columns."""
    envs = [RocketSimEnv(mode, opponent, endings=SHORT) for _ in range(steps.shape[1])]
    rows = [[env.reset(seed=seed + i)[0] for i, env in enumerate(envs)]]
    ended = [False] * len(envs)
    for actions in steps:
        row = []
        for i, env in enumerate(envs):
            if next_step and ended[i]:
                row.append((env.reset()[0], 0.0, False, False, None))
            else:
                final, reward, terminated, truncated, _ = env.step(actions[i])
                again = not next_step and (terminated or truncated)
                row.append(
                    (env.reset()[0] if again else final, reward, terminated, truncated, final if again else None)
                )
            ended[i] = row[-1][2] or row[-1][3]
        rows.append(row)
    return rows


@pytest.mark.parametrize(
    ("mode", "opponent", "autoreset"),
    [*product(["1v1"], ["random", "chaser"], ["same_step", "next_step"]), ("2v2", "random", "same_step")],
)
def test_many_arenas_equal_single_ones(mode, opponent, autoreset):
    steps = table_actions(60, 3)
    envs = RocketSimVectorEnv(3, mode, opponent, endings=SHORT, autoreset_mode=autoreset)
    first, *rows = play_singles(steps, 11, mode, opponent, autoreset == "next_step")
    assert_array_equal(envs.reset(seed=11)[0], first)
    resets = 0
    for actions, row in zip(steps, rows, strict=True):
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        expected = [np.array(column) for column in list(zip(*row, strict=True))[:4]]
        for got, want in zip((observations, rewards, terminated, truncated), expected, strict=True):
            assert_array_equal(got, want)
        finals = [final is not None for *_, final in row]
        assert_array_equal(infos.get("_final_obs", [False] * 3), finals)
        for i in np.flatnonzero(finals):
            assert_array_equal(infos["final_obs"][i], row[i][4])
        resets += int((terminated | truncated).sum())
    assert resets >= 9


def test_actions_beyond_the_box_are_clipped():
    envs = [RocketSimEnv() for _ in range(2)]
    for env in envs:
        env.reset(seed=1)
    action = np.array([1, -1, 1, -1, 1, 1, 1, 1], np.float32)
    for _ in range(5):
        assert_array_equal(envs[0].step(action)[0], envs[1].step(action * 40)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_actions_that_are_no_numbers_are_refused(bad):
    single, many = RocketSimEnv(), RocketSimVectorEnv(2)
    single.reset(seed=1)
    many.reset(seed=1)
    actions = np.zeros((2, 8), np.float32)
    actions[1, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        single.step(actions[1])
    with pytest.raises(ValueError, match="NaN or infinity"):
        many.step(actions)


def test_in_self_play_every_car_is_a_row():
    envs = RocketSimVectorEnv(3, "1v2", opponent=None)
    assert envs.num_envs == 9
    assert envs.num_arenas == 3
    observations, _ = envs.reset(seed=1)
    assert observations.shape == envs.observation_space.shape == (9, 180)
    actions = np.zeros((9, 8), np.float32)
    actions[:, 0] = np.arange(9) / 10
    observations, rewards, terminated, _, _ = envs.step(actions)
    assert_array_equal(observations[:, 43], actions[:, 0])  # row r drives the car that row r sees
    assert rewards.shape == terminated.shape == (9,)


class OnlyTheSecond(Ending):
    def __call__(self, state):
        return np.arange(len(state.goal)) == 1


def test_an_arena_that_ends_ends_all_its_rows():
    envs = RocketSimVectorEnv(3, "2v2", whole_team=True, endings=[OnlyTheSecond()])
    envs.reset(seed=1)
    _, _, terminated, truncated, infos = envs.step(np.zeros((6, 8), np.float32))
    assert truncated.tolist() == infos["_final_obs"].tolist() == [False, False, True, True, False, False]
    assert not terminated.any()


def test_a_reset_forgets_which_arenas_had_ended():
    envs = RocketSimVectorEnv(1, endings=[Clock(seconds=0.1)], autoreset_mode="next_step")
    actions = np.full((1, 8), 0.5, np.float32)
    envs.reset(seed=1)
    assert [bool(envs.step(actions)[3][0]) for _ in range(5)] == [False, True, False, False, True]
    envs.reset()
    assert envs.step(actions)[0][0, 43] == 0.5  # driven, not reset once more


def test_self_play_is_the_same_game_as_an_opponent_that_does_the_same():
    both, against = RocketSimVectorEnv(2, opponent=None), RocketSimVectorEnv(2, opponent="idle")
    first = both.reset(seed=4)[0]
    assert_array_equal(first[::2], against.reset(seed=4)[0])
    actions = np.zeros((4, 8), np.float32)
    actions[::2] = TABLE[[20, 23]]
    for _ in range(5):
        assert_array_equal(both.step(actions)[0][::2], against.step(actions[::2])[0])


@pytest.mark.parametrize("seed", [7, [7, 8, 9]])
def test_a_seed_gives_the_same_episode_in_three_arenas(seed):
    steps = table_actions(45, 3)  # three seconds: every arena ends three times
    histories = []
    for begin in (seed, 7, 8):
        envs = RocketSimVectorEnv(3, endings=SHORT)
        history = [envs.reset(seed=begin)[0], *(envs.step(actions)[0] for actions in steps)]
        histories.append(np.array(history))
    assert_array_equal(histories[0], histories[1])
    assert not np.array_equal(histories[0][0], histories[2][0])


def test_a_seed_starts_a_used_env_anew():
    env, steps = RocketSimEnv(endings=SHORT), table_actions(10, 1)[:, 0]
    histories = []
    for _ in range(2):
        histories.append([env.reset(seed=3)[0], *(env.step(action)[0] for action in steps)])
        env.reset()
    assert_array_equal(*histories)


def test_observations_handed_out_never_change():
    envs = RocketSimVectorEnv(2, endings=SHORT)
    kept = [envs.reset(seed=0)[0]]
    copies = [kept[0].copy()]
    for actions in table_actions(20, 2):
        kept.append(envs.step(actions)[0])
        copies.append(kept[-1].copy())
    assert_array_equal(kept, copies)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"render_mode": "human"}, "render_mode='human'"),
        ({"autoreset_mode": "disabled"}, "autoreset_mode='disabled' is none of same_step, next_step"),
        ({"autoreset_mode": AutoresetMode.DISABLED}, "autoreset_mode"),
        ({"opponent": "nobody"}, "opponent='nobody'"),
        ({"mode": "4v4"}, "mode='4v4'"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        RocketSimVectorEnv(1, **settings)


def test_seeds_must_be_one_an_arena():
    with pytest.raises(ValueError, match="2 seeds for 3 arenas"):
        RocketSimVectorEnv(3).reset(seed=[1, 2])


def test_single_env_tells_of_a_step_that_the_physics_broke():
    env = RocketSimEnv()
    env.reset(seed=1)
    env._match.arenas.break_down(0)
    *_, terminated, truncated, info = env.step(np.zeros(8, np.float32))
    assert (terminated, truncated, info) == (False, True, {"faulty": True})
