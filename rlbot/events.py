"""TensorBoard events that never end a run."""

from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.tensorboard.summary import hparams
from typing_extensions import override

from rlbot.patience import Warnings

COMPARED = ("game/touches_per_minute", "game/goals_per_minute", "evaluation/rating", "speed/timesteps_per_second")


class Events(TensorBoardLogger):
    """Drops what cannot be written, with a warning a minute; after a resume, drops what the older run wrote later.

    Args:
        folder: the run's folder.
        resumed_at: timesteps of the checkpoint that the run goes on from.
    """

    def __init__(self, folder: str, resumed_at: int | None = None) -> None:
        purge: dict[str, Any] = {} if resumed_at is None else {"purge_step": resumed_at + 1}
        super().__init__(folder, name="", version="", default_hp_metric=False, **purge)
        self._warnings = Warnings()

    @override
    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """By them TensorBoard's HPARAMS compares runs: what they reached in ``COMPARED``, which they log anyway."""
        super().log_hyperparams(params)  # writes no event without a metric of its own
        plain = {name: value if type(value) in (int, float) else str(value) for name, value in params.items()}
        try:
            for summary in hparams(plain, dict.fromkeys(COMPARED, 0.0)):  # type: ignore[no-untyped-call]
                self.experiment._get_file_writer().add_summary(summary)
        except OSError as error:
            self._give_up(error)

    @override
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        try:
            super().log_metrics(metrics, step)
        except OSError as error:
            self._give_up(error)
        except ValueError as error:  # how Lightning passes on what the writer raises
            if not isinstance(error.__cause__, OSError):
                raise
            self._give_up(error.__cause__)

    @override
    def save(self) -> None:
        try:
            super().save()
        except OSError as error:
            self._give_up(error)

    @override
    def finalize(self, status: str) -> None:
        try:
            super().finalize(status)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """The writer's thread is dead after an error: begin another file with the next values."""
        self._experiment = None
        self._kwargs.pop("purge_step", None)
        self._warnings.say(f"TensorBoard events not written ({error.strerror})")
