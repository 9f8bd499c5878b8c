"""The stages of a curriculum, and when one is left: by timesteps, or by what was measured."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

ALLOWED_MODES = ("1v1", "1v2", "2v2")


@dataclass(frozen=True)
class Until:
    """When a stage is left: when all that is asked for holds, or after ``max_timesteps``.

    Args:
        touches_per_minute: of a learner's car in the newest iteration, at least.
        win_rate: by opponent, at least; the lower end of the 95 % interval in the newest evaluation against it.
        min_timesteps: of the stage, before which it is not left.
        max_timesteps: of the stage, after which it is left whatever was measured; null for none.
    """

    touches_per_minute: float | None = None
    win_rate: dict[str, float] = field(default_factory=dict)
    min_timesteps: int = 0
    max_timesteps: int | None = None

    def holds(self, timesteps: int, touches_per_minute: float, win_rates: Mapping[str, float]) -> bool:
        """Whether the stage is over.

        Args:
            timesteps: of the stage so far.
            touches_per_minute: in the newest iteration.
            win_rates: lower ends of the newest intervals, by opponent; one that is missing was not measured.
        """
        if self.max_timesteps is not None and timesteps >= self.max_timesteps:
            return True
        asked = self.touches_per_minute is not None or bool(self.win_rate)
        return (
            asked
            and timesteps >= self.min_timesteps
            and touches_per_minute >= (self.touches_per_minute or 0)
            and all(win_rates.get(name, -1) >= rate for name, rate in self.win_rate.items())
        )

    def mistakes(self) -> list[str]:
        """Settings out of range, and what is missing."""
        rules = (
            (
                "touches_per_minute",
                "above 0",
                self.touches_per_minute is None or 0 < self.touches_per_minute < math.inf,
            ),
            ("win_rate", "each above 0 and below 1", all(0 < rate < 1 for rate in self.win_rate.values())),
            ("min_timesteps", "not below 0", self.min_timesteps >= 0),
            (
                "max_timesteps",
                f"at least 1 and min_timesteps={self.min_timesteps}",
                self.max_timesteps is None or self.max_timesteps >= max(self.min_timesteps, 1),
            ),
        )
        wrong = [f"{name}={getattr(self, name)} ({rule})" for name, rule, holds in rules if not holds]
        if self.touches_per_minute is None and not self.win_rate and self.max_timesteps is None:
            wrong.append("needs touches_per_minute, win_rate or max_timesteps")
        return wrong

    def __str__(self) -> str:
        parts = [] if self.touches_per_minute is None else [f"{self.touches_per_minute:g} touches a minute"]
        parts += [f"a win rate of {rate:g} against {name}" for name, rate in self.win_rate.items()]
        text = f"until {' and '.join(parts)}" if parts else ""
        if self.min_timesteps and parts:
            text += f", not before {self.min_timesteps} timesteps"
        if self.max_timesteps is not None:
            text += f"{', or after' if parts else 'for'} {self.max_timesteps} timesteps"
        return text


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Args:
        mode: 1v1, 1v2 or 2v2 (the learner is the lone car in 1v2).
        opponent: selfplay (the current policy drives all cars and learns from all) or checkpoint (past selves of this
            run drive the opponents).
        from_timesteps: the stage begins at the first iteration boundary at or after this many timesteps.
        until: instead of from_timesteps in all stages: when this one is left; not in the last.
        pool_share: share of a selfplay stage's arenas in which the pool drives the other team after all.
    """

    mode: str
    opponent: Literal["selfplay", "checkpoint"] = "selfplay"
    from_timesteps: int = 0
    until: Until | None = None
    pool_share: float = 0.0

    def __str__(self) -> str:
        return f"{self.mode} ({self.opponent})"

    @property
    def against_past_selves(self) -> float:
        """Share of all arenas."""
        return 1.0 if self.opponent == "checkpoint" else self.pool_share


def default_stages() -> list[Stage]:
    """The plan of ``configs/base.yaml``."""
    return [Stage("1v1"), Stage("1v2", "checkpoint", 2_000_000), Stage("2v2", "selfplay", 3_500_000)]


def present(callbacks: Iterable[object]) -> tuple[int, str]:
    """Index and mode of the stage that a run's callbacks say is played; 0 and empty without a curriculum."""
    curriculum = next((callback for callback in callbacks if hasattr(callback, "stage_name")), None)
    return getattr(curriculum, "index", 0), getattr(curriculum, "stage_name", "")


def by_results(stages: Sequence[Stage]) -> bool:
    """Whether the plan goes by what is measured and not by timesteps alone."""
    return any(stage.until is not None for stage in stages)


def described(stages: Sequence[Stage]) -> list[str]:
    """A line for each stage, for people: when it begins, or when it is left."""
    if not by_results(stages):
        return [f"{stage} from {stage.from_timesteps} timesteps" for stage in stages]
    return [f"{stage} to the end" if stage.until is None else f"{stage} {stage.until}" for stage in stages]


def check_plan(stages: Sequence[Stage]) -> None:
    """See that the stages make a plan.

    Raises:
        ValueError: another mode than the three, stages out of order, or two kinds of plan mixed.
    """
    for i, stage in enumerate(stages):
        if stage.mode not in ALLOWED_MODES:
            raise ValueError(f"curriculum.stages[{i}].mode={stage.mode!r}: only {', '.join(ALLOWED_MODES)} are stages")
        if not 0 <= stage.pool_share < 1 or (stage.pool_share and stage.opponent == "checkpoint"):
            raise ValueError(
                f"curriculum.stages[{i}].pool_share={stage.pool_share}: 0 to below 1, and for selfplay stages only"
            )
        if stage.until is not None and (wrong := stage.until.mistakes()):
            raise ValueError(f"curriculum.stages[{i}].until: {'; '.join(wrong)}")
    begins = [stage.from_timesteps for stage in stages]
    if by_results(stages):
        have = [stage.until is not None for stage in stages]
        if any(begins) or not all(have[:-1]) or have[-1]:
            raise ValueError(
                "curriculum.stages: a plan goes by from_timesteps or by until, not by both: "
                "give until in every stage but the last, which has none, and from_timesteps in none"
            )
    elif begins and (begins[0] != 0 or any(b <= a for a, b in itertools.pairwise(begins))):
        raise ValueError(
            f"curriculum.stages: from_timesteps={begins} must begin at 0 and rise: give it in every later stage"
        )
