"""Collecting in worker processes that own their arenas and act by themselves.

Nothing crosses a process at every step: an iteration is one message there and one back; weights and rollouts lie in
shared memory. Workers are started by spawn, as on Windows, and end with their parent, however it ends.
"""

import atexit
import contextlib
import ctypes
import itertools
import multiprocessing as mp
import pickle
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from multiprocessing.connection import wait
from typing import Any, NamedTuple

import numpy as np
import torch
from typing_extensions import override

from rlbot.errors import InputError, TryAgainError
from rlbot.ppo.acting import Acting, weights_of
from rlbot.ppo.actors import Actors, MakeEnv
from rlbot.ppo.policy import ActorCritic
from rlbot.ppo.rollout import Report, Rollout, allocate, rollout_bytes
from rlbot.ppo.work import noise
from rlbot.ppo.worker import Worker

MAX_CARS = 16  # of an arena, which may be somebody else's
OPEN_SECONDS = 300.0  # for starting a process and building its arenas
STUCK_SECONDS = 20.0  # without a single step
MAX_REPLACED = 3  # workers in a row


class _Lost(NamedTuple):
    """A worker that was killed or does not move."""

    worker: Worker
    what: str


class Workers(Actors):
    """In ``num_workers`` processes, each with a share of the arenas and a copy of the policy.

    A worker that is killed or stuck is replaced by a new one with new arenas, and collects its share again.

    Args:
        acting: plays the policy; each worker has a copy.
        num_envs: arenas of all workers together.
        num_workers: processes.
        batch_size: most timesteps of a rollout.
        observation_size: numbers an agent sees.
        act_here: the workers ask this process for their actions at every step, and it acts on its own device, in two
            groups, one of which steps its arenas meanwhile; under this context. None lets the workers act.
        show: prints a line for the user.
    """

    def __init__(
        self,
        acting: Acting,
        num_envs: int,
        num_workers: int,
        batch_size: int,
        observation_size: int,
        act_here: Callable[[], AbstractContextManager[Any]] | None = None,
        show: Callable[[str], object] = print,
    ) -> None:
        self._acting, self._size, self._act_here, self._show = acting, observation_size, act_here, show
        self._shares = [len(part) for part in np.array_split(np.arange(num_envs), num_workers)]
        self._context = mp.get_context("spawn")
        most_agents = num_envs * MAX_CARS
        # One step more than they need: where fewer cars learn, a last step that is not full takes less than this.
        most = rollout_bytes(-(-batch_size // most_agents) + 1, most_agents, observation_size, acting.head)
        # Raw arrays: memory that comes from a file where /dev/shm is too small, and is gone with the last process.
        self._memory = self._context.RawArray(ctypes.c_byte, most)
        self._weights = self._context.RawArray(ctypes.c_float, max(acting.num_weights, 1))
        self._beats = self._context.RawArray(ctypes.c_longlong, num_workers)  # steps done, to see who is stuck
        self._workers: list[Worker] = []
        atexit.register(self.close)  # before multiprocessing waits for them: they do not listen to its SIGTERM
        for index in range(num_workers):
            self._workers.append(self._start(index))
        self._env = self._opponent = b""
        self._opponent_is_new = False
        self._seed = 0
        self._task: tuple[Any, ...] = ()
        self._agents: list[slice] = []

    def _start(self, index: int) -> Worker:
        return Worker(index, self._context, self._memory, self._weights, self._beats)

    @override
    def open(self, make_env: MakeEnv, seed: int) -> None:
        self._env = _pickled(make_env, "a part of data, or an opponent,")
        self._opponent, self._opponent_is_new, self._task, self._seed = b"", False, (), seed
        for worker in self._workers:
            self._send_env(worker, seed)
        counts, kinds = zip(*self._answers(OPEN_SECONDS), strict=True)
        ends = np.cumsum(counts).tolist()
        if ends[-1] > sum(self._shares) * MAX_CARS:
            raise InputError(f"{ends[-1]} agents in {sum(self._shares)} arenas: there may be {MAX_CARS} in each")
        self._agents = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self.num_agents, self.kind = ends[-1], kinds[0]

    def _send_env(self, worker: Worker, seed: int) -> None:
        first = sum(self._shares[: worker.index])
        worker.send("open", pickle.dumps(self._acting), self._env, self._shares[worker.index], seed + first)

    @override
    def change_opponent(self, opponent: Any) -> None:
        self._opponent, self._opponent_is_new = _pickled(opponent, "an opponent"), True

    @override
    def begin(self, policy: ActorCritic, num_steps: int, seed: int, progress: float = 0.0) -> None:
        torch.frombuffer(self._weights, dtype=torch.float32)[: self._acting.num_weights] = weights_of(policy)
        self._policy = policy
        self._task = ("collect", num_steps, self.num_agents, seed, progress, self._act_here is not None)
        for worker in self._workers:
            if self._opponent_is_new:
                worker.send("opponent", self._opponent)
            worker.send(*self._task, self._agents[worker.index])
        self._opponent_is_new = False

    @override
    def finish(self) -> Rollout:
        _, num_steps, _, seed, *_ = self._task
        rollout = allocate(num_steps, self.num_agents, self._size, self._acting.head, self._memory)
        if self._act_here is not None:
            self._act_for_all(rollout, seed)
        reports = self._answers(STUCK_SECONDS)
        rollout.report = _merged(reports, [s.start for s in self._agents])
        return rollout

    @torch.inference_mode()
    def _act_for_all(self, rollout: Rollout, seed: int) -> None:
        """Answer every worker at every step; the groups take turns, so each batch is the same in every run.

        Raises:
            TryAgainError: a worker is lost.
        """
        assert self._act_here is not None
        policy, noises = self._policy, [noise(seed, worker.index) for worker in self._workers]
        device = next(policy.parameters()).device
        groups = [group for group in (self._workers[::2], self._workers[1::2]) if group]
        with self._act_here():
            for t, group in itertools.product(range(len(rollout.rewards)), groups):
                for worker in group:
                    if not ready([worker.connection], STUCK_SECONDS) or not (asked := worker.receive()):
                        raise TryAgainError(f"worker {worker.index} was lost: resume with --ckpt_path last")
                    _answer(worker, *asked)
                parts = [self._agents[worker.index] for worker in group]
                seen = torch.cat([rollout.observations[t, part] for part in parts])
                outputs = policy.outputs(seen.to(device)).split([part.stop - part.start for part in parts])
                for worker, part, (numbers, sides) in zip(group, parts, outputs, strict=True):
                    actions, log_probs = policy.head.sample(numbers, noises[worker.index])
                    rollout.actions[t, part] = policy.head.mirrored(actions, sides).cpu()
                    rollout.log_probs[t, part] = log_probs.cpu()
                    worker.send()

    def _answers(self, patience: float) -> list[Any]:
        """One answer of each worker; a lost worker is replaced and asked again.

        Raises:
            TryAgainError: workers are lost again and again, or one with the steps that were acted in for it.
        """
        answers: dict[int, Any] = {}
        num_replaced = 0
        while lost := self._gather(answers, patience):
            what = f"worker {lost.worker.index} (process {lost.worker.process.pid}) {lost.what}"
            if self._task and self._act_here is not None:
                raise TryAgainError(f"{what}: resume with --ckpt_path last")
            if num_replaced == MAX_REPLACED:
                raise TryAgainError(f"{what}, and so did {num_replaced} before: resume with --ckpt_path last")
            self._show(f"[ERROR] {what}: replaced by a new one")
            self._replace(lost.worker)
            num_replaced += 1
        return [answers[worker.index] for worker in self._workers]

    def _replace(self, worker: Worker) -> None:
        """A new worker in the place of this one, with new arenas and the same task."""
        worker.kill()
        new = self._workers[worker.index] = self._start(worker.index)
        self._send_env(new, self._seed + int(time.time()))  # other arenas: these seeds' histories were seen
        if self._task:
            if not ready([new.connection, new.process.sentinel], OPEN_SECONDS) or not (opened := new.receive()):
                raise TryAgainError(f"worker {new.index} does not start: resume with --ckpt_path last")
            _answer(new, *opened)
            if self._opponent:
                new.send("opponent", self._opponent)
            new.send(*self._task, self._agents[new.index])

    def _gather(self, answers: dict[int, Any], patience: float) -> _Lost | None:
        """Wait for what is missing in ``answers``, or until a worker is lost."""
        moved = {w.index: (self._beats[w.index], time.monotonic()) for w in self._workers}
        while missing := [w for w in self._workers if w.index not in answers]:
            found = ready([thing for w in missing for thing in (w.connection, w.process.sentinel)], seconds=1.0)
            for worker in missing:
                beats, since = moved[worker.index]
                if worker.connection in found and (message := worker.receive()):
                    answers[worker.index] = _answer(worker, *message)
                elif worker.process.sentinel in found or worker.connection in found:
                    worker.process.join(1)
                    return _Lost(worker, f"ended with code {worker.process.exitcode}")
                elif self._beats[worker.index] != beats:
                    moved[worker.index] = (self._beats[worker.index], time.monotonic())
                elif time.monotonic() - since > patience:
                    return _Lost(worker, f"has not moved for {patience:.0f} seconds")
        return None

    @override
    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers = []
        atexit.unregister(self.close)


def ready(things: Sequence[Any], seconds: float) -> list[Any]:
    """Connections that can be read and processes that have ended, as soon as there is one, or none after some seconds.

    On Windows a signal ends the wait of ``multiprocessing``, after its handler has taken note of it.
    """
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(InterruptedError):
            return wait(things, timeout=max(until - time.monotonic(), 0.0))


def _pickled(thing: Any, what: str) -> bytes:
    try:
        return pickle.dumps(thing)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:  # the last one by TorchScript
        reason = " ".join(str(error).split())
        raise InputError(
            f"{what} cannot be sent to a worker process ({reason}): define its class at the top of a module, "
            "or set data.num_workers to 0"
        ) from error


def _answer(worker: Worker, kind: str, answer: Any, where: str = "") -> Any:
    """What a worker answered; an error is raised here as it was there."""
    if kind == "error":
        raise answer from RuntimeError(f"in worker {worker.index}:\n{where}")
    return answer


def _merged(reports: Sequence[Report], first_agents: Sequence[int]) -> Report:
    """One report of all workers; times are their mean, what they counted is added up."""
    whole = Report()
    whole.final_observations = np.concatenate([report.final_observations for report in reports])
    places = [report.final_index + np.array([0, first]) for report, first in zip(reports, first_agents, strict=True)]
    whole.final_index = np.concatenate(places)
    for report in reports:
        whole.episode_returns += report.episode_returns
        whole.episode_steps += report.episode_steps
        for name, (total, amount) in report.statistics.items():
            so_far = whole.statistics.get(name, (0.0, 0.0))
            whole.statistics[name] = (so_far[0] + total, so_far[1] + amount)
    whole.seconds = {name: float(np.mean([r.seconds[name] for r in reports])) for name in reports[0].seconds}
    return whole
