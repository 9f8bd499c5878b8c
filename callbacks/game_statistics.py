"""What the learner does in the game, and each reward term's part, against timesteps."""

import math

import lightning as L  # noqa: N812
import torch
from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override


class Ratios(Metric):
    """Several statistics, each a total over an amount; over several processes both are added up before dividing.

    Args:
        count: how many statistics.
    """

    totals: Tensor
    amounts: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        for name in ("totals", "amounts"):
            self.add_state(name, torch.zeros(count, dtype=torch.float64), dist_reduce_fx="sum")

    @override
    def update(self, totals: list[float], amounts: list[float]) -> None:
        self.totals += torch.tensor(totals, dtype=torch.float64, device=self.device)
        self.amounts += torch.tensor(amounts, dtype=torch.float64, device=self.device)

    @override
    def compute(self) -> Tensor:
        """(count,) NaN where the amount is 0."""
        return self.totals / self.amounts


class GameStatistics(L.Callback):
    """Logs what the environment counted in an iteration (see ``rlbot.game.statistics``) and its episodes."""

    def __init__(self) -> None:
        self._ratios: Ratios | None = None

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        iteration = trainer.datamodule.iteration  # type: ignore[attr-defined]
        episodes = len(iteration.episode_returns)
        statistics = {
            **iteration.statistics,
            "game/episode_return": (sum(iteration.episode_returns), episodes),
            "game/episode_steps": (sum(iteration.episode_steps), episodes),
            "game/episodes": (episodes, 1),
            "game/faulty_steps": (iteration.faulty_steps, 1),
        }
        totals, amounts = zip(*statistics.values(), strict=True)
        if self._ratios is None:
            self._ratios = Ratios(len(statistics)).to(pl_module.device)
        self._ratios.update(list(totals), list(amounts))
        means = dict(zip(statistics, self._ratios.compute().tolist(), strict=True))
        self._ratios.reset()
        for name, mean in means.items():
            if not math.isnan(mean):
                pl_module.log(name, mean, prog_bar=name == "game/touches_per_minute")
