"""A user's own loggers and callbacks may fail at reading and writing without ending the run."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

WARN_SECONDS = 60.0
LOGGING = ("log_hyperparams", "log_metrics", "save", "finalize")


class Warnings:
    """One line a minute."""

    def __init__(self) -> None:
        self._warned_at = -WARN_SECONDS

    def say(self, what: str) -> None:
        """Print it, unless something was printed less than a minute ago."""
        if time.monotonic() - self._warned_at >= WARN_SECONDS:
            self._warned_at = time.monotonic()
            print(f"[ERROR] {what}: training goes on", flush=True)


def be_patient_with(part: object) -> None:
    """From now on OSError in a hook of this logger or callback costs a warning a minute and what it would have done."""
    warnings = Warnings()
    for name in dir(part):
        if name in LOGGING or name.startswith("on_"):
            setattr(part, name, _patient(getattr(part, name), type(part).__name__, warnings))


def _patient(hook: Callable[..., Any], owner: str, warnings: Warnings) -> Callable[..., Any]:
    @wraps(hook)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return hook(*given, **named)
        except OSError as error:
            warnings.say(f"{owner}.{hook.__name__} failed ({error.strerror or error})")

    return call
