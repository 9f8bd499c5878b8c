"""A worker process, seen from the learner's: how it begins, what is told and heard, how it ends.

This module imports no torch: on Windows a pipe's other end stays with the parent until the worker takes it, so that one
that died while importing would never be missed.
"""

import contextlib
import os
import pickle
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from typing import Any

TUNABLES = "GLIBC_TUNABLES"


def _begin(*given: Any) -> None:
    """In the new process: deaf to signals, which go to the whole group and which the learner answers, do the work."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    from rlbot.ppo.work import work

    work(*given)


@contextlib.contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """A process started here never hears Ctrl-C: while it still imports, that would print its traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # else it is started within, and lifts the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _huge_pages() -> Iterator[None]:
    """Processes started in this context ask Linux for 2 MB pages where their C library can (glibc 2.35 and newer).

    An arena takes 1.2 MB: with pages of 4 KB every step of many arenas misses the processor's address cache.
    """
    before = os.environ.get(TUNABLES)
    os.environ[TUNABLES] = ":".join(filter(None, (before, "glibc.malloc.hugetlb=1")))
    try:
        yield
    finally:
        if before is None:
            del os.environ[TUNABLES]
        else:
            os.environ[TUNABLES] = before


class Worker:
    """A worker process, seen from the learner's.

    Args:
        index: among the workers.
        context: of multiprocessing.
        shared: what else ``work`` takes.
    """

    def __init__(self, index: int, context: Any, *shared: Any) -> None:
        self.index = index
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_begin, args=(index, theirs, *shared), daemon=True)
        with _huge_pages(), _deaf_to_signals():
            self.process.start()
        theirs.close()

    def send(self, *message: Any) -> None:
        """Tell the process something, or only to go on; if it is gone, nothing happens."""
        with contextlib.suppress(ConnectionError):  # noticed where the answer is missing
            # Plain pickle: the connection's own would move every tensor into shared memory.
            self.connection.send_bytes(pickle.dumps(message))

    def receive(self) -> tuple[Any, ...]:
        """A message, or nothing if the process is gone."""
        try:
            message: tuple[Any, ...] = pickle.loads(self.connection.recv_bytes())
        except (EOFError, ConnectionError):
            return ()
        return message

    def kill(self) -> None:
        """End the process, also one that is stopped."""
        self.process.kill()
        self.process.join()
        self.connection.close()
