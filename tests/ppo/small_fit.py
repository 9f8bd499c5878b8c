"""A short fit on the CPU with the real Trainer, and notes of what happened in it."""

from typing import Any

import lightning as L  # noqa: N812
import torch
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor

from callbacks.stop import Stop
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO, Batch
from rlbot.ppo.policy import CategoricalHead


class Notes(L.Callback):
    """One entry an iteration."""

    def __init__(self) -> None:
        self.lengths: list[int] = []  # announced minibatches
        self.batches: list[list[Batch]] = []
        self.timesteps: list[int] = []
        self.learning_rates: list[float] = []
        self.norms: list[float] = []  # of the gradients that the optimizer took, one an update
        self.scalars: list[dict[str, float]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.lengths.append(len(trainer.train_dataloader))
        self.batches.append([])

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, k: int) -> None:
        self.batches[-1].append({name: tensor.clone() for name, tensor in batch.items()})

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.timesteps.append(trainer.datamodule.iteration.timesteps)
        self.learning_rates.append(trainer.optimizers[0].param_groups[0]["lr"])


class Scalars(Logger):
    """Keeps what is logged in the notes."""

    name = version = "scalars"

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes
        self._step: int | None = None

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """There are none."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step != self._step:  # PPO logs an iteration's numbers in one call, Lightning adds the epoch
            self._step = step
            self._notes.scalars.append({})
        self._notes.scalars[-1] |= metrics


def trainer(*callbacks: L.Callback, logger: Any = False, **settings: Any) -> L.Trainer:
    """A Trainer that prints and writes nothing."""
    usual: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "reload_dataloaders_every_n_epochs": 1,
        "logger": logger,
        "log_every_n_steps": 1,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "callbacks": [Stop(), *callbacks],
    }
    return L.Trainer(**usual | settings)


def fit(module: PPO, data: RolloutDataModule, *callbacks: L.Callback, **settings: Any) -> Notes:
    """Fit to ``total_timesteps``."""
    notes = Notes()
    trainer(notes, *callbacks, logger=Scalars(notes), **settings).fit(module, data)
    return notes


def weights(module: PPO) -> Tensor:
    """All parameters as one vector."""
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def counting_ppo(kind: type[PPO] = PPO, **settings: Any) -> PPO:
    """A small PPO for a ``CountingEnv``, always with the same weights."""
    torch.manual_seed(1)
    if "gamma" in settings:
        settings["half_life"] = None
    return kind(3, CategoricalHead(4), (8,), **settings)
