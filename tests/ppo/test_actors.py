"""Collecting in real worker processes: what they collect, with which policy, and what happens when one is lost."""

import contextlib
import errno
import functools
import multiprocessing as mp
import os
import signal
import subprocess
import sys
from unittest import mock

import pytest
import torch
from small_fit import fit
from worker_parts import Broken, Numbered

from rlbot.errors import InputError, TryAgainError
from rlbot.game.endings import Clock
from rlbot.game.env import RocketSimVectorEnv
from rlbot.league.opponents import Idle
from rlbot.league.pool import Pool
from rlbot.ppo import workers as workers_module
from rlbot.ppo.acting import Acting
from rlbot.ppo.actors import Inline
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import ActorCritic, CategoricalHead, TableHead
from rlbot.ppo.rollout import Rollout
from rlbot.ppo.worker import Worker
from rlbot.ppo.workers import Workers

needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and SIGSTOP")
ROCKET_LEAGUE = functools.partial(RocketSimVectorEnv, mode="1v1")


def undecided(head=None, size=3):
    torch.manual_seed(1)
    return ActorCritic(size, head or CategoricalHead(4), (8,))


def collect(actors, policy=None, num_steps=4, seed=1):
    """A copy of the next rollout."""
    actors.begin(policy or undecided(), num_steps, seed)
    found = actors.finish()
    return Rollout(*(tensor.clone() for tensor in found.tensors), report=found.report)


def opened(actors, seed=0, **settings):
    actors.open(functools.partial(Numbered, **settings), seed)
    return actors


@pytest.fixture(scope="module")
def told():
    """What the workers' owner says to the user."""
    return []


@pytest.fixture(scope="module")
def workers(told):
    """Two workers: arenas 0 to 2 and 3 to 4."""
    workers = Workers(Acting(undecided()), 5, 2, batch_size=50, observation_size=3, show=told.append)
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def rocket_league():
    """Two workers with two arenas and one of 1v1."""
    policy = undecided(TableHead(), 180)
    workers = Workers(Acting(policy), 3, 2, batch_size=200, observation_size=180)
    yield workers, policy
    workers.close()


# What is collected.


def test_steps_of_every_arena_stand_in_its_own_column(workers):
    rollout = collect(opened(workers), num_steps=4)
    assert (workers.num_agents, workers.kind) == (5, "Numbered")
    assert rollout.observations.tolist() == [[[n, 0, t] for n in range(5)] for t in range(4)]
    assert rollout.rewards.tolist() == [[100 * n + t + 1 for n in range(5)] for t in range(4)]
    assert rollout.last_observations.tolist() == [[n, 0, 4] for n in range(5)]
    assert rollout.valid.all()
    assert collect(workers, num_steps=2).observations[:, 4].tolist() == [[4, 0, 4], [4, 0, 5]]


def test_endings_are_reported_of_the_arenas_they_were_in(workers):
    endings = {0: (2, "terminated"), 1: (3, "truncated"), (3, 0): (1, "truncated"), (4, 0): (2, "faulty")}
    rollout = collect(opened(workers, endings=endings), num_steps=4)
    report = rollout.report
    finals = dict(zip(map(tuple, report.final_index.tolist()), report.final_observations.tolist(), strict=True))
    assert finals == {(2, 1): [1, 0, 3], (0, 3): [3, 0, 1], (1, 4): [4, 0, 2]}
    assert rollout.terminated.nonzero().tolist() == [[1, 0], [3, 0]]
    assert rollout.truncated.nonzero().tolist() == [[0, 3], [1, 4], [2, 1]]
    assert (~rollout.valid).nonzero().tolist() == [[1, 4]]
    assert report.episode_returns == [3, 306, 23, 301, 401]  # of arenas 0, 1, 0, then 3, 4
    assert report.episode_steps == [2, 3, 2, 1, 1]


def test_what_was_counted_is_added_up_and_seconds_are_the_mean(workers):
    report = collect(opened(workers)).report
    assert report.statistics == {"game/arenas": (5, 2), "game/of_3": (2, 3), "game/of_2": (2, 3)}
    assert report.seconds["physics"] == 2.5
    assert report.seconds.keys() == {"physics", "observe", "reward", "infer", "collect"}


def test_arenas_have_the_seeds_they_have_in_one_process(workers, rocket_league):
    one = Inline(Acting(undecided()), 5)
    found, expected = (collect(opened(actors, seed=70)) for actors in (workers, one))
    assert torch.equal(found.observations, expected.observations)
    workers, policy = rocket_league
    one = Inline(Acting(policy), 3)
    for actors in (workers, one):
        actors.open(ROCKET_LEAGUE, 5)
    assert torch.equal(collect(workers, policy).observations[0], collect(one, policy).observations[0])


def test_same_seed_gives_the_same_rollouts_bit_by_bit_and_another_seed_others(rocket_league):
    workers, policy = rocket_league
    found = []
    for arenas, noise in ((5, 1), (5, 1), (6, 1), (5, 2)):
        workers.open(ROCKET_LEAGUE, arenas)
        found.append([collect(workers, policy, 20, seed) for seed in (noise, noise + 10)])
    for first, again in zip(*found[:2], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first.tensors, again.tensors, strict=True))
        assert first.report.statistics == again.report.statistics
    assert not torch.equal(found[0][0].observations[0], found[2][0].observations[0])
    assert not torch.equal(found[0][0].actions, found[3][0].actions)
    assert len(found[0][0].actions.unique()) > 30


def test_workers_draw_different_actions(workers):
    policy = undecided()
    torch.nn.init.zeros_(policy.actor[-1].weight)  # four equal actions
    actions = torch.cat([collect(opened(workers), policy, 1, seed).actions for seed in range(20)])
    assert not torch.equal(actions[:, :2], actions[:, 3:])


def test_every_rollout_is_acted_with_the_weights_it_was_begun_with(workers):
    opened(workers)
    for action in (2, 0, 3):
        policy = undecided()
        torch.nn.init.constant_(policy.actor[-1].bias[action : action + 1].data, 1e4)
        workers.begin(policy, 3, seed=1)
        torch.nn.init.zeros_(policy.actor[-1].bias)  # learning goes on meanwhile
        assert workers.finish().actions.unique().tolist() == [action]


def test_opponent_changes_with_the_next_rollout(workers):
    workers = opened(workers)
    workers.begin(undecided(), 1, seed=1)
    workers.change_opponent(3)
    assert workers.finish().rewards.tolist() == [[1, 101, 201, 301, 401]]
    for _ in range(2):
        assert (collect(workers, num_steps=1).rewards // 10_000).tolist() == [[3] * 5]


def test_progress_of_the_run_reaches_the_arenas_with_every_rollout(workers):
    one = Inline(Acting(undecided()), 5)
    for actors in (opened(workers), opened(one)):
        for progress in (0.25, 1.0):
            actors.begin(undecided(), 2, seed=1, progress=progress)
            assert (actors.finish().rewards // 10_000 == 100 * progress).all()


# Workers that are lost.


@needs_signals
@pytest.mark.parametrize(("name", "what"), [("SIGKILL", "ended with code -9"), ("SIGSTOP", "has not moved for 5")])
def test_worker_lost_in_a_rollout_is_named_and_replaced(workers, told, tmp_path, monkeypatch, name, what):
    monkeypatch.setattr(workers_module, "STUCK_SECONDS", 5.0)
    told.clear()
    opened(workers, signum=getattr(signal, name), once=tmp_path / "once").change_opponent(2)
    rollout = collect(workers, num_steps=5)
    assert rollout.observations[..., 2].tolist() == [[t] * 5 for t in range(5)]
    assert rollout.last_observations[:, 2].tolist() == [5] * 5
    assert (rollout.rewards // 10_000).unique().tolist() == [2]  # the new one knows the opponent
    (line,) = told
    assert line.startswith("[ERROR] worker ")
    assert what in line
    assert line.endswith("replaced by a new one")
    assert collect(workers, num_steps=2).observations[..., 2].tolist() == [[5] * 5, [6] * 5]


@needs_signals
def test_worker_lost_between_rollouts_is_replaced(workers, told):
    told.clear()
    collect(opened(workers))
    victim = workers._workers[1].process
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    rollout = collect(workers, num_steps=2)
    assert rollout.observations[..., 2].tolist() == [[4, 4, 4, 0, 0], [5, 5, 5, 1, 1]]
    assert told == [f"[ERROR] worker 1 (process {victim.pid}) ended with code -9: replaced by a new one"]


@needs_signals
def test_workers_lost_again_and_again_end_the_run_with_a_line_to_try_again(monkeypatch):
    monkeypatch.setattr(workers_module, "MAX_REPLACED", 1)
    told = []
    workers = Workers(Acting(undecided()), 1, 1, batch_size=5, observation_size=3, show=told.append)
    with pytest.raises(TryAgainError, match=r"^worker 0 \(process \d+\) ended with code -9, .* --ckpt_path last$"):
        collect(opened(workers, signum=signal.SIGKILL), num_steps=5)
    workers.close()
    assert len(told) == 1
    assert workers._workers == []


def test_wait_that_a_signal_ends_goes_on_to_its_end(monkeypatch):
    """What Windows makes of Ctrl-C, after ``Stop`` has taken note of it."""
    given = []

    def wait(things, timeout):
        given.append((things, timeout))
        if len(given) < 3:
            raise InterruptedError(errno.EINTR, "Interrupted function call")
        return things[:1]

    monkeypatch.setattr(workers_module, "wait", wait)
    assert workers_module.ready(["a", "b"], seconds=9.0) == ["a"]
    assert [things for things, _ in given] == [["a", "b"]] * 3
    seconds = [left for _, left in given]
    assert seconds == sorted(seconds, reverse=True)
    assert 0 < seconds[2] <= seconds[0] <= 9.0


def test_worker_holds_its_pipe_before_it_imports_torch():
    context = mock.Mock(Pipe=mp.Pipe)
    Worker(0, context).connection.close()
    target = context.Process.call_args.kwargs["target"]
    code = f"import sys, {target.__module__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_error_in_a_worker_arrives_as_it_was_raised_and_ends_all_workers():
    before = set(mp.active_children())
    data = RolloutDataModule(num_envs=2, num_workers=2, batch_size=16, minibatch_size=16, rewards=[Broken()])
    with pytest.raises(ValueError, match=r"^reward broken is NaN or infinite$") as error:
        fit(PPO(hidden_sizes=(8,)), data)
    assert "in worker" in str(error.value.__cause__)
    assert set(mp.active_children()) == before


# Acting in the learner's process.


@pytest.fixture(scope="module")
def asking():
    """Three workers, so two groups, which ask for their actions."""
    workers = Workers(Acting(undecided()), 5, 3, 50, 3, act_here=contextlib.nullcontext, show=lambda line: None)
    yield workers
    workers.close()


def test_learner_that_acts_for_the_workers_answers_each_with_its_own_actions(asking):
    policy = undecided()
    with torch.no_grad():
        policy.actor[-1].weight *= 100
    rollout = collect(opened(asking), policy, num_steps=6)
    assert rollout.observations.tolist() == [[[n, 0, t] for n in range(5)] for t in range(6)]
    assert len(rollout.actions.unique()) > 1
    expected = policy.evaluate(rollout.observations.flatten(0, 1), rollout.actions.flatten())
    torch.testing.assert_close(rollout.log_probs.flatten(), expected.log_probs)


def test_learner_that_acts_draws_the_same_actions_by_the_same_seed_only(asking):
    first, again, other = (collect(opened(asking), num_steps=8, seed=seed).actions for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@needs_signals
@pytest.mark.parametrize("num_steps", [8, 3])  # they die in the third: in the middle, and when all is acted
def test_worker_lost_while_the_learner_acts_ends_the_run_to_be_resumed(num_steps):
    workers = Workers(Acting(undecided()), 5, 3, 50, 3, act_here=contextlib.nullcontext, show=lambda line: None)
    try:
        opened(workers, signum=signal.SIGKILL)
        with pytest.raises(TryAgainError, match=r"^worker \d .*: resume with --ckpt_path last$"):
            collect(workers, num_steps=num_steps)
    finally:
        workers.close()


def test_part_that_cannot_be_sent_to_a_worker_is_refused_with_the_cure(workers):
    with pytest.raises(InputError, match=r"cannot be sent to a worker process .* set data.num_workers to 0"):
        workers.open(lambda num_envs: Numbered(num_envs), 0)


def test_opponent_that_cannot_be_sent_to_a_worker_is_refused_in_one_line(workers):
    module = torch.jit.script(torch.nn.Linear(1, 1))
    refused = r"^an opponent cannot be sent to a worker process \(Tried to serialize .*\): .* data.num_workers to 0$"
    with pytest.raises(InputError, match=refused):
        workers.change_opponent(module)


def test_few_arenas_in_each_worker_are_dealt_on_from_those_of_the_worker_before(rocket_league):
    workers, policy = rocket_league  # two arenas, and one
    members, endings = {"a": Idle(), "b": Idle()}, [Clock(seconds=0.4)]  # six steps
    workers.open(functools.partial(ROCKET_LEAGUE, opponent=Pool(members), endings=endings), 5)
    first = collect(workers, policy, 12).report.statistics
    assert (first["pool/a"][1], first["pool/b"][1]) == (2, 4)  # a and b, then b
    workers.change_opponent(Pool(members, ["b", "a"]))
    second = collect(workers, policy, 12).report.statistics
    assert (second["pool/a"][1], second["pool/b"][1]) == (4, 2)
