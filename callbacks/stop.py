"""Stop at the last timestep, or at the next iteration boundary after Ctrl-C or SIGTERM."""

import signal
import threading
from types import FrameType
from typing import Any

import lightning as L  # noqa: N812
from typing_extensions import override

from rlbot.ppo import together


class Stop(L.Callback):
    """Ends the run between two iterations, where a save holds everything. A second Ctrl-C interrupts at once.

    A signal to any process of a distributed run stops all of them at the same boundary.

    Attributes:
        signum: the signal that stopped the run, 0 if none did.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._before: dict[signal.Signals, Any] = {}

    @override
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if data.timesteps >= data.total_timesteps:
            pl_module.print(
                f"[OK] Nothing to do: the run is at {data.timesteps} of {data.total_timesteps} timesteps; "
                "to go on, raise --timesteps"
            )
        self._check(trainer)

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Lightning sets its own handlers after on_fit_start; at SIGTERM they end the process unsaved and with code 0.
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._take_note)

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check(trainer)

    @override
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._restore()

    @override
    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _take_note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum == signal.SIGINT == signum:
            raise SystemExit(128 + signum)  # Lightning turns KeyboardInterrupt into exit code 1
        self.signum = signum

    def _check(self, trainer: L.Trainer) -> None:
        agreed = max(together.gather(self.signum))  # a signal that comes while this waits counts at the next boundary
        self.signum = self.signum or agreed
        if agreed and not trainer.should_stop:
            trainer.lightning_module.print(f"[OK] Stopping after {signal.Signals(agreed).name}: saving")
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if agreed or data.timesteps >= data.total_timesteps:
            trainer.should_stop = True

    def _restore(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before.clear()
