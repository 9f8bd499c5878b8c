"""What a worker process does: owns its arenas and a copy of the policy, collects when told to, ends with its parent."""

import contextlib
import gc
import multiprocessing as mp
import pickle
import traceback
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlbot.ppo.policy import ActionHead
from rlbot.ppo.rollout import Collector, Rollout, allocate
from rlbot.threads import use_one_thread


def noise(seed: int, worker: int) -> torch.Generator:
    """The policy's noise of one worker's rollout."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, worker]).generate_state(1)[0]))


class Asking:
    """Stands in for the policy where the learner acts: says that the observations are written, and waits.

    Args:
        connection: to the learner.
        room: where the observations are and the answers will be.
        head: of the policy.
    """

    def __init__(self, connection: Connection, room: Rollout, head: ActionHead) -> None:
        self._connection, self._room, self.head = connection, room, head
        self._step = -1

    def __call__(self, observations: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The learner's choice for the observations of the next step, and its log-probabilities."""
        self._step += 1
        self._connection.send_bytes(pickle.dumps(("ask", None)))
        self._connection.recv_bytes()
        return self._room.actions[self._step], self._room.log_probs[self._step]


class _ParentGoneError(Exception):
    pass


def work(index: int, connection: Connection, memory: Any, weights: Any, beats: Any) -> None:
    """A worker's life: answer the learner's messages until it closes the connection."""
    use_one_thread()
    parent = mp.parent_process()

    def beat() -> None:
        """Before every step: show that this worker moves, and see that it is not left alone."""
        beats[index] += 1
        if beats[index] % 16 == 0 and parent is not None and not parent.is_alive():
            raise _ParentGoneError

    player: Any = None
    collector: Any = None
    try:
        while True:
            kind, *message = pickle.loads(connection.recv_bytes())
            try:
                answer: Any
                if kind == "open":
                    acting, make_env, num_envs, seed = message
                    player = pickle.loads(acting)
                    collector = Collector(pickle.loads(make_env)(num_envs))
                    _seat(getattr(getattr(collector.env, "match", None), "opponent", None), index)
                    collector.reset(seed)
                    gc.freeze()  # what lives as long as the process need not be looked through
                    answer = (collector.num_agents, type(collector.env.unwrapped).__name__)
                elif kind == "opponent":
                    collector.change_opponent(_seat(pickle.loads(message[0]), index))
                    continue
                else:
                    num_steps, num_agents, seed, progress, asks, agents = message
                    collector.anneal(progress)
                    whole = allocate(num_steps, num_agents, collector.observation_size, player.head, memory)
                    room = whole.part(num_steps, agents)
                    if asks:
                        answer = collector.collect(
                            Asking(connection, room, player.head), room, noise(seed, index), beat
                        )
                    else:
                        player.load(torch.frombuffer(weights, dtype=torch.float32))
                        answer = collector.collect(player, room, noise(seed, index), beat)
                connection.send_bytes(pickle.dumps(("done", answer)))
            except _ParentGoneError:
                raise
            except Exception as error:
                connection.send_bytes(_packed(error))
    except (_ParentGoneError, EOFError, ConnectionError):
        pass


def _seat(opponent: Any, index: int) -> Any:
    """The opponent; one that deals the arenas out to others is told in which worker it plays."""
    if hasattr(opponent, "worker"):
        opponent.worker = index
    return opponent


def _packed(error: Exception) -> bytes:
    """The message that makes the learner's process raise the same error."""
    where = traceback.format_exc()
    with contextlib.suppress(Exception):
        packed = pickle.dumps(("error", error, where))
        pickle.loads(packed)
        return packed
    return pickle.dumps(("error", RuntimeError(f"{type(error).__name__}: {error}"), where))
