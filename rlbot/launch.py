"""How every command starts and ends: early signals, ASCII consoles, exit codes and one-line errors.

Exit codes: 0 done; 1 crash; 2 bad input, configuration or checkpoint; 75 worth trying again (memory, disk); 130 and 143
stopped by a signal.
"""

import contextlib
import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn, TextIO

EXIT_TRY_AGAIN = 75
LESS_MEMORY = "lower data.num_envs, data.minibatch_size or data.batch_size, then resume with --ckpt_path last"


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def say_error(message: object) -> None:
    """One line on stderr, in ASCII; of several processes all but the first tell their number."""
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    line = f"process {rank}: " * (rank != "0") + " ".join(str(message).split())
    print(f"[ERROR] {line}".encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)


def run(target: str, arguments: Sequence[str]) -> NoReturn:
    """Call ``module:function`` with the arguments and leave with its exit code.

    The module is imported here, after the signals are set: importing torch and Lightning takes seconds.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _leave)
    for stream in (sys.stdout, sys.stderr):
        _never_fail(stream)
    threading.excepthook = _thread_failed
    module, function = target.split(":")
    try:
        command: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
        code = command(arguments)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        code = _explain(error)
    sys.stdout.flush()
    raise SystemExit(code)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """TensorBoard's writer thread dies of a full disk; ``rlbot.events`` says so and begins another."""
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def _never_fail(stream: TextIO) -> None:
    """ASCII on every console, so that no name ends a run; whole lines at once, also into a file.

    What cannot be written, to a file on a full disk or a console that is gone, is lost and ends no run either.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="ascii", errors="backslashreplace", line_buffering=True)
    for name in ("write", "flush"):
        setattr(stream, name, _whatever_happens(getattr(stream, name)))


def _whatever_happens(call: Callable[..., int | None]) -> Callable[..., int]:
    @functools.wraps(call)
    def wrapped(*given: str) -> int:
        with contextlib.suppress(OSError):
            return call(*given) or 0
        return 0

    return wrapped


def _explain(error: Exception) -> int:
    """Print what went wrong and give the exit code; crashes are raised on, with their traceback."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error):
        say_error(f"out of memory: {LESS_MEMORY}")
        return EXIT_TRY_AGAIN
    code: int | None = getattr(error, "exit_code", None)  # errors whose message is all a person needs have one
    if code is None:
        raise error
    say_error(error)
    return code
