"""How good one opponent is against another: whole matches on all cores, with 95 % intervals.

Matches are dealt out in tasks that follow from their number alone, and each task computes on one torch thread, so the
results depend on the seed and not on how many processes share the work.
"""

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.errors import InputError, TryAgainError
from rlbot.game.match import MODES, Opponent
from rlbot.league.opponents import find
from rlbot.play.matches import MatchResult, play_matches
from rlbot.threads import one_thread, use_one_thread

MATCHES_A_TASK = 50  # enough to share what a step costs, few enough that 200 matches keep 4 cores busy
MAX_WORKERS = 61  # what Windows allows
LOOK_SECONDS = 0.5  # Windows tells of Ctrl-C between two waits only
Z95 = 1.959964
RESAMPLES = 1000


class Pairing(NamedTuple):
    """Who plays whom, by names that ``rlbot.league.opponents.find`` knows.

    Attributes:
        a: has the first number of cars of the mode, and is blue in every other match.
        b: has the second.
    """

    a: str
    b: str
    mode: str
    seed: int
    deterministic: bool = False


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, games: int) -> Interval:
    """Wilson's score interval of a share; a draw counts as half a success, which makes the interval a little wide."""
    share, square = successes / games, Z95 * Z95
    middle = (share + square / (2 * games)) / (1 + square / games)
    spread = Z95 * math.sqrt(share * (1 - share) / games + square / (4 * games * games)) / (1 + square / games)
    return Interval(share, max(0.0, middle - spread), min(1.0, middle + spread))


def ratio(totals: NDArray[np.float64], amounts: NDArray[np.float64], seed: int) -> Interval | None:
    """Sum over sum with a bootstrap interval over the matches; None where the amounts sum to 0."""
    if amounts.sum() <= 0:
        return None
    drawn = np.random.default_rng(seed).integers(len(totals), size=(RESAMPLES, len(totals)))
    below = amounts[drawn].sum(axis=1)
    values = totals[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return Interval(float(totals.sum() / amounts.sum()), low, high)


def evaluate(
    pairing: Pairing, games: int, workers: int = 1, progress: Callable[[int], None] | None = None
) -> list[MatchResult]:
    """Play ``games`` whole matches, half of them with A blue.

    Args:
        pairing: who plays whom.
        games: at least 2, so that both sides are played.
        workers: processes; with 1 everything happens in this one.
        progress: is told how many matches are done after each task.

    Raises:
        InputError: an unknown name or mode, or numbers that cannot be.
        TryAgainError: a process was killed, as happens when memory is short.
    """
    for option, value, least in (("games", games, 2), ("workers", workers, 1)):
        if value < least:
            raise InputError(f"{option}={value}: must be at least {least}")
    players(pairing)  # before any process is started
    tasks = [list(part) for part in np.array_split(np.arange(games), math.ceil(games / MATCHES_A_TASK))]
    indices = [[int(i) for i in task] for task in tasks]
    if min(workers, len(tasks)) == 1:
        return _play_here(pairing, indices, progress)
    return _play_in_processes(pairing, indices, min(workers, len(tasks), MAX_WORKERS), progress)


def players(pairing: Pairing) -> tuple[Opponent, Opponent, int]:
    """A, B, and the physics ticks between two decisions: a policy's own.

    Raises:
        InputError: an unknown name or mode, a negative seed, or two policies that decide at different times.
    """
    if pairing.mode not in MODES:
        raise InputError(f"mode={pairing.mode}: must be one of {', '.join(MODES)}")
    if pairing.seed < 0:
        raise InputError(f"seed={pairing.seed}: must be at least 0")
    a, b = (find(name, deterministic=pairing.deterministic) for name in (pairing.a, pairing.b))
    own: list[int | None] = [getattr(player, "tick_skip", None) for player in (a, b)]  # the others take any
    if None not in own and own[0] != own[1]:
        raise InputError(f"{pairing.a} decides every {own[0]} ticks and {pairing.b} every {own[1]}: they cannot meet")
    return a, b, own[0] or own[1] or 8


def _play(pairing: Pairing, indices: Sequence[int]) -> list[MatchResult]:
    a, b, tick_skip = players(pairing)
    return play_matches(a, b, pairing.mode, pairing.seed, indices, tick_skip=tick_skip)


def _play_here(
    pairing: Pairing, tasks: Sequence[Sequence[int]], progress: Callable[[int], None] | None
) -> list[MatchResult]:
    played: list[MatchResult] = []
    with one_thread():
        for task in tasks:
            played += _play(pairing, task)
            if progress is not None:
                progress(len(played))
    return played


def _play_in_processes(
    pairing: Pairing, tasks: Sequence[Sequence[int]], workers: int, progress: Callable[[int], None] | None
) -> list[MatchResult]:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)
    try:
        futures: list[Future[list[MatchResult]]] = [pool.submit(_play, pairing, task) for task in tasks]
        done, left = 0, set(futures)
        while left:
            finished, left = wait(left, LOOK_SECONDS, FIRST_COMPLETED)
            done += sum(len(future.result()) for future in finished)
            if finished and progress is not None:
                progress(done)
        played = [result for future in futures for result in future.result()]
    except BaseException as error:  # a signal, a killed process, an opponent that failed: nothing is finished
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(cancel_futures=True)  # and its thread is waited for: Python's exit would run into it
        if isinstance(error, BrokenProcessPool):
            raise TryAgainError("a worker process was killed, as when memory is short: fewer --workers") from error
        raise
    pool.shutdown()
    return played


def _begin_worker() -> None:
    """One thread, Ctrl-C left to the process that started this one, and no life after it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
