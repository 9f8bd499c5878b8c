"""What the settings of ``PPO`` may be, and how some of them change over a run."""

import math
from collections.abc import Callable
from typing import Any

from rlbot.game.actions import NUM_CONTROLS
from rlbot.game.observations import SIZE
from rlbot.ppo.policy import ActionHead

RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "hidden_sizes": ("all at least 1", lambda sizes: all(size >= 1 for size in sizes)),
    "learning_rate": ("above 0", lambda value: 0 < value < math.inf),
    "learning_rate_end": ("not below 0", lambda value: 0 <= value < math.inf),
    "half_life": ("above 0", lambda value: 0 < value < math.inf),
    "gamma": ("0 to 1", lambda value: 0 <= value <= 1),
    "gae_lambda": ("0 to 1", lambda value: 0 <= value <= 1),
    "gae_lambda_end": ("0 to 1", lambda value: 0 <= value <= 1),
    "clip": ("above 0", lambda value: 0 < value < math.inf),
    "value_clip": ("above 0", lambda value: value > 0),
    "value_weight": ("not below 0", lambda value: 0 <= value < math.inf),
    "entropy": ("not below 0", lambda value: 0 <= value < math.inf),
    "entropy_end": ("not below 0", lambda value: 0 <= value < math.inf),
    "learn_threads": ("at least 1", lambda value: value >= 1),
}


def check(**settings: Any) -> None:
    """See that settings are in range; None always is.

    Raises:
        ValueError: some are not, all of them named.
    """
    wrong = [
        f"{name}={value} ({RULES[name][0]})"
        for name, value in settings.items()
        if value is not None and not RULES[name][1](value)
    ]
    if wrong:
        raise ValueError(f"model: {'; '.join(wrong)}")


def check_numbers(symmetry: str | None, close_up: bool, head: ActionHead, observation_size: int) -> None:
    """See that there are the numbers and controls whose meaning symmetry, close-up and masks have to know.

    Raises:
        ValueError: there are others.
    """
    if symmetry is not None and not (head.has_mirror and observation_size == SIZE):
        raise ValueError(
            f"model: symmetry={symmetry} (null for {observation_size} numbers and {type(head).__name__}: it needs the "
            f"{SIZE} numbers and a head of {NUM_CONTROLS} controls)"
        )
    if close_up and observation_size != SIZE:
        raise ValueError(f"model: close_up=True (false for {observation_size} numbers: it needs the {SIZE})")
    if head.reads_numbers and observation_size != SIZE:
        raise ValueError(f"model: the mask of {type(head).__name__} needs the {SIZE} numbers, not {observation_size}")


def discount(half_life: float | None, gamma: float | None, step_seconds: float | None) -> float:
    """The discount of a step, from seconds or as it is given.

    Raises:
        ValueError: both or none are given, or seconds where a step has none.
    """
    if gamma is not None and half_life is None:
        return gamma
    if gamma is not None or half_life is None:
        raise ValueError(f"model: half_life={half_life} and gamma={gamma} (set one of them, and the other to null)")
    if step_seconds is None:
        raise ValueError(f"model: half_life={half_life} (data.env knows no seconds: set it to null, and gamma instead)")
    return math.pow(0.5, step_seconds / half_life)


def along(start: float, end: float | None, progress: float) -> float:
    """The point at ``progress`` (0 to 1) of the line from start to end; start if there is no end."""
    return start if end is None else start + (end - start) * progress
