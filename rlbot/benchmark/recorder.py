"""A callback that takes the time of every iteration, and in the last ones of every piece of it."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import lightning as L  # noqa: N812
import torch
from typing_extensions import override

from callbacks import Curriculum, TimestepCheckpoint
from rlbot.errors import InputError

LEARNING = (  # what is computed to learn, by the hook of the LightningModule that does it
    "training_step",
    "backward",
    "on_before_optimizer_step",
    "configure_gradient_clipping",
    "optimizer_zero_grad",
)


@dataclass(frozen=True)
class Iteration:
    """Seconds of one iteration, from the end of the one before it to its own end.

    Attributes:
        timesteps: of it.
        seconds: of all of it.
        waited: that learning waited for the rollout.
        parts: where collecting spent its time, mean over its processes: physics, observe, reward, infer; all of it:
            collect. With ``data.overlap`` it is more than was waited.
    """

    timesteps: int
    seconds: float
    waited: float
    parts: dict[str, float]


@dataclass
class Pieces:
    """Seconds of the iterations that were looked into.

    Attributes:
        seconds: of all of them.
        load: in the loader: collecting, shuffling, cutting.
        learn: forward, loss, backward, clipping, optimizer step.
        checkpoint: in the checkpoint callback.
    """

    seconds: float = 0.0
    load: float = 0.0
    learn: float = 0.0
    checkpoint: float = 0.0


@dataclass
class Recorder(L.Callback):
    """Measures ``count`` iterations untouched after one to warm up, looks into ``looked_into`` more, ends the run.

    To look into an iteration, the hooks of the module, the loader and the checkpoint callback are replaced by ones that
    take the time, and a GPU is waited for around each; so those iterations are not the ones whose speed is reported.

    Attributes:
        iterations: those that were measured.
        pieces: of those that were looked into.
        facts: what was run: num_envs, num_workers, act_on, mode, agents and batch sizes.
    """

    count: int
    looked_into: int = 1
    iterations: list[Iteration] = field(default_factory=list)
    pieces: Pieces = field(default_factory=Pieces)
    facts: dict[str, Any] = field(default_factory=dict)

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not data.plays_rocket_league:
            raise InputError("data.env: the benchmark measures Rocket League; leave data.env null")
        curriculum = next(c for c in trainer.callbacks if isinstance(c, Curriculum))  # type: ignore[attr-defined]
        self.facts = {
            "num_envs": data.num_envs,
            "num_workers": data.num_workers,
            "act_on": data.act_on,
            "mode": curriculum.stage_name or "1v1",
            "agents": data.open(pl_module).num_agents,
            "batch_size": data.batch_size,
            "minibatch_size": data.minibatch_size,
        }
        self._number = 0  # of the iteration; 0 warms up
        self._taken: dict[str, float] = defaultdict(float)
        self._learned_until = 0.0
        self._began = time.perf_counter()

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._wait()
        now = time.perf_counter()
        seconds, self._began = now - self._began, now
        newest = trainer.datamodule.iteration  # type: ignore[attr-defined]
        if 1 <= self._number <= self.count:
            self.iterations.append(Iteration(newest.timesteps, seconds, newest.collect_seconds, dict(newest.seconds)))
        if self._number == self.count and self.looked_into:
            self._look_into(trainer, pl_module)
        if self._number > self.count:
            self.pieces.seconds += seconds
        if self._number == self.count + self.looked_into:
            self.pieces.load, self.pieces.learn = self._taken["load"], self._taken["learn"]
            self.pieces.checkpoint = self._taken["checkpoint"]
            trainer.should_stop = True
        self._number += 1

    def _look_into(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """From now on take the time of every piece."""
        for name in LEARNING:
            setattr(module, name, self._timed(getattr(module, name), "learn"))
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, TimestepCheckpoint):
                callback.on_train_epoch_end = self._timed(callback.on_train_epoch_end, "checkpoint")  # type: ignore[method-assign]
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        load = data.train_dataloader
        data.train_dataloader = lambda: _TimedLoader(load(), self._timed)
        for optimizer in trainer.optimizers:
            optimizer.register_step_pre_hook(self._step_begins)
            optimizer.register_step_post_hook(self._step_ends)

    def _timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            self._wait()
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._wait()
                self._learned_until = time.perf_counter()
                self._taken[kind] += self._learned_until - began

        return timed

    def _step_begins(self, *_: Any) -> None:
        self._learned_until = time.perf_counter()

    def _step_ends(self, *_: Any) -> None:
        """The optimizer runs forward, loss, backward and clipping inside its step: what comes after is its own."""
        self._wait()
        self._taken["learn"] += time.perf_counter() - self._learned_until

    def _wait(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()


class _TimedLoader:
    """A sized loader whose iterator takes the time of every fetch."""

    def __init__(self, loader: Any, timed: Callable[[Callable[..., Any], str], Callable[..., Any]]) -> None:
        self._loader, self._timed = loader, timed

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._loader)
        fetch = self._timed(lambda: next(batches, None), "load")
        while (batch := fetch()) is not None:
            yield batch
