"""The training as it is soaked: an observer notes every iteration, and breaks the physics of arenas now and then."""

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import psutil
from typing_extensions import override

from rlbot.cli import train
from rlbot.launch import run
from rlbot.sim.arenas import ArenaBatch


class Witness(L.Callback):
    """Writes a line of JSON after each iteration: timesteps, memory (MB), handles, faults so far, and whether it broke.

    Args:
        file: to append to.
        interval: timesteps after which the physics is broken again.
    """

    def __init__(self, file: Path, interval: int) -> None:
        self.file, self.interval = file, interval
        self._before = 0

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._before = trainer.datamodule.timesteps  # type: ignore[attr-defined]

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        breaks = data.timesteps // self.interval > self._before // self.interval
        self._before = data.timesteps
        process = psutil.Process()
        seen = {
            "timesteps": data.timesteps,
            "memory": process.memory_full_info().uss / 1e6,
            "handles": process.num_fds(),
            "faults": data.num_faults,
            "breaks": breaks,
        }
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(seen) + "\n")
        if breaks:
            break_arenas()


def break_arenas() -> None:
    """In every batch of arenas of this process, whoever holds it, the first one."""
    for batch in [thing for thing in gc.get_objects() if type(thing) is ArenaBatch]:
        batch.break_down(0)


def soaked(arguments: Sequence[str]) -> int:
    """Train with a witness: its file and interval, then the words of the train command; the exit code."""
    file, interval, *words = arguments
    return train(words, callbacks=[Witness(Path(file), int(interval))])


if __name__ == "__main__":
    import sys

    run("rlbot.soak.witness:soaked", sys.argv[1:])
