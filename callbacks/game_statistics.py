"""What the learner does in the game, and each reward term's part, against timesteps."""

import lightning as L  # noqa: N812
from typing_extensions import override

from rlbot.game.statistics import GAIN
from rlbot.league.pool import RESULTS
from rlbot.ppo.module import PPO


class GameStatistics(L.Callback):
    """Logs what the environments counted in an iteration (see ``rlbot.game.statistics``) and their episodes."""

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
        assert isinstance(pl_module, PPO)
        hidden = (GAIN, RESULTS)  # the pool's results are as many as its members
        shown = {name: ratio for name, ratio in statistics.items() if ratio[1] and not name.startswith(hidden)}
        pl_module.record({name: total / amount for name, (total, amount) in shown.items()})
