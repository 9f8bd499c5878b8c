"""What the learner does in the game, and each reward term's part, against timesteps."""

import lightning as L  # noqa: N812
import torch
from torchmetrics import MeanMetric
from typing_extensions import override


class GameStatistics(L.Callback):
    """Logs what the environment counted in an iteration (see ``rlbot.game.statistics``) and the episodes' returns.

    Every statistic is a ratio and kept as a weighted ``MeanMetric``, so several processes add up to the right one.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, MeanMetric] = {}

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        iteration = trainer.datamodule.iteration  # type: ignore[attr-defined]
        ratios = dict(iteration.statistics)
        episodes = len(iteration.episode_returns)
        ratios["game/episode_return"] = (sum(iteration.episode_returns), episodes)
        ratios["game/episode_steps"] = (sum(iteration.episode_steps), episodes)
        for name, (total, amount) in ratios.items():
            metric = self._metrics.setdefault(name, MeanMetric(nan_strategy="disable").to(pl_module.device))
            metric.update(total / amount if amount else 0.0, weight=amount)
            mean = metric.compute()
            metric.reset()
            if torch.isfinite(mean):
                pl_module.log(name, mean, prog_bar=name == "game/touches_per_minute")
        pl_module.log("game/faulty_steps", float(iteration.faulty_steps))
