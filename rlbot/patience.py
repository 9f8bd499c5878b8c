"""A user's own loggers and callbacks may fail at reading and writing without ending the run."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import lightning as L  # noqa: N812
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger

from rlbot.ppo import together

WARN_SECONDS = 60.0
LOGGING = ("log_hyperparams", "log_metrics", "save", "finalize")
HOOKS = ("teardown", *(name for name in dir(L.Callback) if name.startswith("on_")))


class Warnings:
    """One line a minute."""

    def __init__(self) -> None:
        self._warned_at = -WARN_SECONDS

    def say(self, what: str) -> None:
        """Print it, unless something was printed less than a minute ago."""
        if time.monotonic() - self._warned_at >= WARN_SECONDS:
            self._warned_at = time.monotonic()
            print(f"[ERROR] {what}: training goes on", flush=True)


def be_patient_with(part: Logger | L.Callback) -> None:
    """From now on OSError in its hooks costs a warning a minute and what the hook would have done.

    A callback of one of several processes may leave the others waiting for it: there, its error is raised. So is that
    of a callback that saves checkpoints, whose loss nobody should get used to.
    """
    if isinstance(part, Checkpoint):
        return
    warnings = Warnings()
    for name in LOGGING if isinstance(part, Logger) else HOOKS:
        setattr(part, name, _patient(getattr(part, name), part, warnings))


def _patient(hook: Callable[..., Any], owner: Logger | L.Callback, warnings: Warnings) -> Callable[..., Any]:
    @wraps(hook)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return hook(*given, **named)
        except OSError as error:
            if isinstance(owner, L.Callback) and together.num_processes() > 1:
                raise
            warnings.say(f"{type(owner).__name__}.{hook.__name__} failed ({error.strerror or error})")

    return call
