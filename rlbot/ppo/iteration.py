"""What one iteration's rollout was like, over all processes, and when its physics broke down too often to go on."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from rlbot.ppo import together
from rlbot.ppo.rollout import Rollout

FAULTS_ALLOWED = 1 / 10_000  # share of timesteps in which the physics may break down
FAULTS_JUDGED_FROM = 100_000  # timesteps


class BrokenPhysicsError(RuntimeError):
    """The physics broke down too often."""

    exit_code = 1


class Iteration(NamedTuple):
    """What the newest iteration's rollout was like, over all processes; seconds are the slowest one's."""

    timesteps: int
    collect_seconds: float  # that learning waited for it
    seconds: dict[str, float]  # where collecting spent them: physics, observe, reward, infer; all of it: collect
    faulty_steps: int
    episode_returns: list[float]
    episode_steps: list[int]
    statistics: dict[str, tuple[float, float]]

    @classmethod
    def of_all(cls, parts: "Sequence[Iteration]") -> "Iteration":
        """One iteration of what several processes collected side by side: counts, totals and amounts added up."""
        return cls(
            timesteps=sum(part.timesteps for part in parts),
            collect_seconds=max(part.collect_seconds for part in parts),
            seconds={name: max(part.seconds[name] for part in parts) for name in parts[0].seconds},
            faulty_steps=sum(part.faulty_steps for part in parts),
            episode_returns=[value for part in parts for value in part.episode_returns],
            episode_steps=[value for part in parts for value in part.episode_steps],
            statistics={
                tag: tuple(map(sum, zip(*(part.statistics.get(tag, (0.0, 0.0)) for part in parts), strict=True)))  # type: ignore[misc]
                for tag in dict.fromkeys(tag for part in parts for tag in part.statistics)
            },
        )


def seed_of(purpose: str, rank: int, timesteps: int) -> int:
    """Seed of new arenas, or of the policy noise or the shuffling (shuffle) of an iteration that begins here."""
    words = np.random.SeedSequence([torch.initial_seed() % 2**63, rank, timesteps]).generate_state(3)
    return int(words[("arenas", "noise", "shuffle").index(purpose)]) % 2**31


def judge_faults(num_faults: int, num_steps: int, rollout: Rollout, folder: str | None) -> None:
    """End a run whose physics breaks down.

    Args:
        num_faults: steps of the run in which it did.
        num_steps: all steps of the run.
        rollout: the newest.
        folder: of the run.

    Raises:
        BrokenPhysicsError: it did too often; what was seen and done then is in ``faults.pt``.
    """
    if num_steps < FAULTS_JUDGED_FROM or num_faults <= FAULTS_ALLOWED * num_steps:
        return
    dump, faults = Path(folder or ".", "faults.pt"), ~rollout.valid
    seen = together.gather((rollout.observations[faults].cpu(), rollout.actions[faults].cpu()))
    if together.leads():
        observations, actions = (torch.cat(parts) for parts in zip(*seen, strict=True))
        torch.save({"observations": observations, "actions": actions}, dump)
    raise BrokenPhysicsError(
        f"the physics gave NaN in {num_faults} of {num_steps} timesteps; what the cars saw and did then is in {dump}: "
        "look at data.starts (or data.env) first, bodies put into one place are the usual cause"
    )
