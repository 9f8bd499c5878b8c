"""A progress bar over timesteps, in ASCII."""

import sys
from typing import Any

import lightning as L  # noqa: N812
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm
from typing_extensions import override

SHOWN = ("game/touches_per_minute", "speed/timesteps_per_second")


class TimestepProgressBar(ProgressBar):
    """One bar for the whole run; shows touches and speed. Silent where there is no terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None

    @property
    def is_enabled(self) -> bool:
        """Whether LightningModule.print goes through this bar (Trainer.print never does)."""
        return True

    @override
    def disable(self) -> None:
        """Lightning calls this in all processes but the first, where there is no bar anyway."""

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._bar = tqdm(
            total=data.total_timesteps,
            initial=data.timesteps,
            unit=" timesteps",
            unit_scale=True,
            ascii=True,
            dynamic_ncols=True,
            disable=None if trainer.is_global_zero else True,
            file=sys.stdout,
        )

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._bar is not None:
            self._bar.update(trainer.datamodule.timesteps - self._bar.n)  # type: ignore[attr-defined]
            metrics = trainer.callback_metrics
            shown = {name.split("/")[-1]: f"{metrics[name]:.4g}" for name in SHOWN if name in metrics}
            self._bar.set_postfix(shown, refresh=False)

    @override
    def print(self, *args: Any, sep: str = " ", **kwargs: Any) -> None:
        tqdm.write(sep.join(map(str, args)), file=sys.stdout)
        sys.stdout.flush()

    @override
    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    @override
    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
