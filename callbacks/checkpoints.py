"""Save the run by timesteps: a numbered file at every interval, ``last`` always fresh, old files pruned."""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import torch
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from callbacks.stages import present
from rlbot.errors import BrokenTrainingError, TryAgainError
from rlbot.files import rename
from rlbot.runs import LAST, numbered_checkpoints, numbered_name

MAX_FAILED_SAVES = 3


class TimestepCheckpoint(Checkpoint):
    """Saves at iteration boundaries, where the rollout is consumed and nothing is half done.

    A numbered file ``timesteps_000000262144.ckpt`` follows within one iteration after every multiple of ``interval``;
    ``last.ckpt`` is written after the first iteration that ends ``save_interval`` timesteps or more after the newest
    save, at the end of a run and when a signal stops it. The newest ``keep`` numbered files, the first one of every
    ``milestone_interval`` and the file the run was resumed from are never deleted.

    Args:
        folder: where the files go.
        username: whose run it is, for the file's metadata.
        interval: timesteps between numbered files.
        save_interval: timesteps after which ``last.ckpt`` is written anew, rounded up to whole iterations.
        milestone_interval: timesteps between files that are kept for good.
        keep: newest numbered files to keep, at least 2.

    Raises:
        ValueError: an interval below 1 or fewer than 2 files kept.
    """

    def __init__(
        self,
        folder: str = "logs/latest_run/checkpoints",
        username: str = "",
        interval: int = 250_000,
        save_interval: int = 30_000,
        milestone_interval: int = 1_000_000,
        keep: int = 5,
    ) -> None:
        super().__init__()
        if min(interval, save_interval, milestone_interval) < 1 or keep < 2:
            raise ValueError(
                f"checkpoint: interval={interval}, save_interval={save_interval} and milestone_interval="
                f"{milestone_interval} must be at least 1, keep={keep} at least 2"
            )
        self.folder, self.username = Path(folder), username
        self.interval, self.save_interval = interval, save_interval
        self.milestone_interval, self.keep = milestone_interval, keep
        self.config = ""  # the run's configuration as YAML text, for the metadata
        self._saved_at = 0  # timesteps of the newest save
        self._resumed_from: Path | None = None
        self._failed_saves = 0

    @override
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved_at = _timesteps(trainer)
        self._resumed_from = Path(trainer.ckpt_path).resolve() if trainer.ckpt_path else None

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        timesteps = _timesteps(trainer)
        numbered = timesteps // self.interval > self._saved_at // self.interval
        if numbered or timesteps - self._saved_at >= self.save_interval:
            self._save(trainer, timesteps, numbered)

    @override
    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        timesteps = _timesteps(trainer)
        if timesteps > self._saved_at:
            self._save(trainer, timesteps, numbered=False, final=True)

    @override
    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        _, stage = present(trainer.callbacks)  # type: ignore[attr-defined]
        checkpoint["metadata"] = {
            "username": self.username,
            "timesteps": _timesteps(trainer),
            "stage": stage,
            "vectorized": True,
            "optimized": True,
            "precision": str(trainer.precision),
            "config": self.config,
        }

    def _save(self, trainer: L.Trainer, timesteps: int, numbered: bool, final: bool = False) -> None:
        """Write ``last``, where it is due as the twin of a numbered file.

        A full disk is survived twice in a row, but not at the end of the run.

        Raises:
            TryAgainError: nothing could be written three times in a row, or at the end.
            BrokenTrainingError: at the end the weights are not finite.
        """
        if not all(bool(torch.isfinite(p).all()) for p in trainer.lightning_module.parameters()):
            lost = f"Not saved at {timesteps} timesteps: the weights are no longer finite"
            if final:
                raise BrokenTrainingError(lost)
            trainer.lightning_module.print(f"[ERROR] {lost}")
            return
        error = self._write(trainer, timesteps, numbered)
        if error is not None:
            self._failed_saves += 1
            if final:
                raise TryAgainError(
                    f"the end of the run at {timesteps} timesteps could not be saved to {self.folder} "
                    f"({error.strerror}): make room, then resume with --ckpt_path last"
                ) from error
            trainer.lightning_module.print(
                f"[ERROR] Checkpoint at {timesteps} timesteps not written ({error.strerror}): training goes on"
            )
            if self._failed_saves >= MAX_FAILED_SAVES:
                raise TryAgainError(
                    f"{self._failed_saves} checkpoints in a row could not be written to {self.folder} "
                    f"({error.strerror}): make room, then resume with --ckpt_path last"
                ) from error
            return
        self._failed_saves = 0
        self._saved_at = timesteps

    def _write(self, trainer: L.Trainer, timesteps: int, numbered: bool) -> OSError | None:
        """Write the files from the first process; what went wrong there is known to all of them."""
        failure: OSError | None = None
        target = self.folder / (numbered_name(timesteps) if numbered else LAST)
        try:
            trainer.save_checkpoint(target)
        except OSError as error:
            failure = error
            trainer.strategy.barrier()  # after writing, where the other processes are by now
        if failure is None and numbered and trainer.is_global_zero:
            try:
                twin(target, self.folder / LAST)
            except OSError as error:
                failure = error
            else:
                trainer.lightning_module.print(f"[OK] Checkpoint saved at {timesteps} timesteps")
                self._prune(timesteps)
        return trainer.strategy.broadcast(failure)

    def _prune(self, now: int) -> None:
        """Delete old numbered files that nothing protects; later ones than ``now`` are another future's, left alone."""
        files = {timesteps: file for timesteps, file in numbered_checkpoints(self.folder).items() if timesteps <= now}
        milestones: dict[int, Path] = {}
        for timesteps, file in files.items():
            milestones.setdefault(timesteps // self.milestone_interval, file)
        milestones.pop(0, None)
        kept = {*list(files.values())[-self.keep :], *milestones.values()}
        for file in files.values():
            if file not in kept and file.resolve() != self._resumed_from:
                with contextlib.suppress(OSError):  # Windows keeps what another program reads: it goes the next time
                    file.unlink(missing_ok=True)


def twin(source: Path, target: Path) -> None:
    """Give ``source`` a second name at once: a hard link, or a copy where the file system has none."""
    scratch = target.with_suffix(".tmp")
    scratch.unlink(missing_ok=True)
    try:
        os.link(source, scratch)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(source, scratch)
    rename(scratch, target)


def _timesteps(trainer: L.Trainer) -> int:
    return int(trainer.datamodule.timesteps)  # type: ignore[attr-defined]
