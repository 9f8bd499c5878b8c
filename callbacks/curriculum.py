"""The curriculum: 1v1 self-play, then 1v2 against checkpoints of itself, then 2v2 self-play."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L  # noqa: N812
import numpy as np
import torch
from typing_extensions import override

from callbacks.checkpoints import TimestepCheckpoint
from rlbot.game.match import Opponent
from rlbot.league.frozen import FrozenPolicy
from rlbot.league.pool import Pool
from rlbot.ppo.module import PPO
from rlbot.runs import numbered_checkpoints

ALLOWED_MODES = ("1v1", "1v2", "2v2")


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Args:
        mode: 1v1, 1v2 or 2v2 (the learner is the lone car in 1v2).
        opponent: selfplay (the current policy drives all cars and learns from all) or checkpoint (saved checkpoints of
            this run drive the opponents).
        from_timesteps: the stage begins at the first iteration boundary at or after this many timesteps.
    """

    mode: str
    opponent: Literal["selfplay", "checkpoint"] = "selfplay"
    from_timesteps: int = 0


def default_stages() -> list[Stage]:
    """The plan of ``configs/base.yaml``."""
    return [Stage("1v1"), Stage("1v2", "checkpoint", 2_000_000), Stage("2v2", "selfplay", 3_500_000)]


class Curriculum(L.Callback):
    """Promotes the run from stage to stage at iteration boundaries; the policy carries on unchanged.

    Args:
        stages: in order, the first from 0 timesteps; empty leaves the environment alone (not Rocket League).
        num_opponents: how many checkpoints share the arenas of a checkpoint stage: the newest, others at random.

    Raises:
        ValueError: a mode other than 1v1, 1v2 and 2v2, or stages out of order.
    """

    def __init__(self, stages: Sequence[Stage] | None = None, num_opponents: int = 4) -> None:
        self.stages = default_stages() if stages is None else list(stages)
        self.num_opponents = num_opponents
        for i, stage in enumerate(self.stages):
            if stage.mode not in ALLOWED_MODES:
                raise ValueError(
                    f"curriculum.stages[{i}].mode={stage.mode!r}: only {', '.join(ALLOWED_MODES)} are stages"
                )
        begins = [stage.from_timesteps for stage in self.stages]
        if begins and (begins[0] != 0 or any(b <= a for a, b in itertools.pairwise(begins))):
            raise ValueError(f"curriculum.stages: from_timesteps={begins} must begin at 0 and rise")
        if num_opponents < 1:
            raise ValueError(f"curriculum.num_opponents={num_opponents} must be at least 1")
        self.index = 0
        self._known: list[str] = []  # checkpoint files that may become opponents
        self._chosen: list[str] = []  # those that play the coming iteration
        self._dropped: set[str] = set()  # files that turned out to be unreadable
        self._frozen: dict[str, FrozenPolicy] = {}

    @property
    def stage_name(self) -> str:
        """The mode being played; empty without stages."""
        return self.stages[self.index].mode if self.stages else ""

    @property
    def files_in_use(self) -> list[str]:
        """Checkpoints that play the coming iteration: a run resumed from its save needs them."""
        return self._chosen

    def stage_at(self, timesteps: int) -> int:
        """Index of the stage that ``timesteps`` belongs to."""
        return sum(stage.from_timesteps <= timesteps for stage in self.stages) - 1

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"stage": self.index, "known": self._known, "chosen": self._chosen}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._known, self._chosen = list(state_dict["known"]), list(state_dict["chosen"])

    @override
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.stages:
            self.index = self.stage_at(trainer.datamodule.timesteps)  # type: ignore[attr-defined]
            self._enter(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.stages:
            return
        assert isinstance(pl_module, PPO)
        pl_module.record({"curriculum/stage": self.index})
        timesteps = trainer.datamodule.timesteps  # type: ignore[attr-defined]
        index = self.stage_at(timesteps)
        against_checkpoints = self.stages[index].opponent == "checkpoint"
        if against_checkpoints and trainer.is_global_zero:
            self._choose(trainer, timesteps)
        if index != self.index:
            self.index = index
            stage = self.stages[index]
            trainer.lightning_module.print(
                f"[OK] Stage {index}: {stage.mode} ({stage.opponent}) from {timesteps} timesteps on"
            )
            self._enter(trainer, pl_module)
        elif against_checkpoints:
            self._enter(trainer, pl_module)

    def _enter(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stage = self.stages[self.index]
        opponent = None
        if stage.opponent == "checkpoint":
            opponent = Pool(self._members(trainer, pl_module))
        trainer.datamodule.play(stage.mode, opponent)  # type: ignore[attr-defined]

    def _choose(self, trainer: L.Trainer, timesteps: int) -> None:
        """The newest checkpoint and others at random, by noise that belongs to this moment of this run."""
        saver = next(c for c in trainer.callbacks if isinstance(c, TimestepCheckpoint))  # type: ignore[attr-defined]
        found = [str(f.resolve()) for steps, f in numbered_checkpoints(saver.folder).items() if steps <= timesteps]
        known = [file for file in dict.fromkeys(self._known + found) if file not in self._dropped]
        self._known = [file for file in known if Path(file).is_file()]
        for file in known:
            if file not in self._known and Path(file) not in saver.pruned:
                trainer.lightning_module.print(f"[ERROR] Opponent dropped: {file} is not there any more")
        rng = np.random.default_rng([torch.initial_seed() % 2**63, timesteps])
        newest, older = self._known[-1:], self._known[:-1]
        count = min(self.num_opponents - 1, len(older))
        self._chosen = (
            newest + [older[i] for i in sorted(rng.choice(len(older), count, replace=False))] if newest else []
        )

    def _members(self, trainer: L.Trainer, pl_module: L.LightningModule) -> list[Opponent]:
        """Frozen policies of the chosen files; while there is none, the policy as it is now.

        The first process reads them for all, so the files need not be on every machine.
        """
        members: list[Opponent] = trainer.strategy.broadcast(self._thawed(trainer) if trainer.is_global_zero else [])
        if not members:
            assert isinstance(pl_module, PPO)
            members.append(FrozenPolicy(pl_module.policy, "the current policy"))
        return members

    def _thawed(self, trainer: L.Trainer) -> list[Opponent]:
        self._frozen = {file: policy for file, policy in self._frozen.items() if file in self._chosen}
        return [policy for file in list(self._chosen) if (policy := self._thaw(trainer, file))]

    def _thaw(self, trainer: L.Trainer, file: str) -> FrozenPolicy | None:
        """The policy saved in the file; a file that cannot be read any more is dropped with a warning."""
        try:
            self._frozen[file] = self._frozen.get(file) or FrozenPolicy.load(Path(file))
        except ValueError as error:
            trainer.lightning_module.print(f"[ERROR] Opponent dropped: {str(error).removeprefix('ckpt_path=')}")
            self._dropped.add(file)
            self._known.remove(file)
            self._chosen.remove(file)
            return None
        return self._frozen[file]
