"""The curriculum: 1v1 self-play, then 1v2 against past selves, then 2v2 self-play; or as the stages say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import numpy as np
import torch
from typing_extensions import override

from callbacks.evaluation import Evaluation
from callbacks.stages import Stage, by_results, check_plan, default_stages
from rlbot.errors import InputError
from rlbot.game.match import MODES, Opponent
from rlbot.game.starts import check_starts
from rlbot.league.frozen import FrozenPolicy
from rlbot.league.opponents import check_tick_skip
from rlbot.league.past_selves import PastSelves, PoolSettings
from rlbot.league.pool import Pool
from rlbot.play.evaluation import wilson
from rlbot.ppo import together
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO

DEFAULT_POOL = PoolSettings()


class Curriculum(L.Callback):
    """Takes the run from stage to stage at iteration boundaries; the policy carries on unchanged.

    Args:
        stages: in order, the first from 0 timesteps; empty leaves the environment alone (not Rocket League).
        pool: past selves and guests, who play in the checkpoint stages and in the pool_share of others.

    Raises:
        ValueError: a mode other than 1v1, 1v2 and 2v2, stages that make no plan, a setting out of range.
    """

    def __init__(self, stages: Sequence[Stage] | None = None, pool: PoolSettings = DEFAULT_POOL) -> None:
        self.stages = default_stages() if stages is None else list(stages)
        check_plan(self.stages)
        self.past_selves = PastSelves(pool)  # up to date in the first process only
        self.index = 0
        self._begun_at = 0  # timesteps at which the present stage began
        self._played: list[str] = []  # mode and opponent of the stage that the checkpoint was in; empty: not known

    @property
    def stage_name(self) -> str:
        """The mode being played; empty without stages."""
        return self.stages[self.index].mode if self.stages else ""

    @property
    def _share(self) -> float:
        """Of the arenas, in which past selves play."""
        return self.stages[self.index].against_past_selves

    def stage_at(self, timesteps: int) -> int:
        """Index of the stage that ``timesteps`` belongs to, in a plan by timesteps."""
        return sum(stage.from_timesteps <= timesteps for stage in self.stages) - 1

    @override
    def state_dict(self) -> dict[str, Any]:
        stage = self.stages[self.index] if self.stages else None
        return {
            "stage": self.index,
            "played": [] if stage is None else [stage.mode, stage.opponent],
            "begun_at": self._begun_at,
            "pool": self.past_selves.state_dict(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.index, self._begun_at = state_dict["stage"], state_dict.get("begun_at", 0)
        self._played = state_dict.get("played", [])
        if "pool" in state_dict:
            self.past_selves.load_state_dict(state_dict["pool"])

    def check(self, evaluation: Evaluation, data: RolloutDataModule) -> None:
        """See that the stages can be played, and that what they wait for is measured, by enough matches to show it.

        Raises:
            InputError: another environment, too few arenas to share, a start without a stage's cars, guests that cannot
                see or decide at another rate, or a win rate that nobody will ever find.
        """
        if self.stages and not data.plays_rocket_league:
            raise InputError("curriculum.stages must be [] when data.env is given: a curriculum needs Rocket League")
        for stage in self.stages:
            check_starts(data.game["starts"] or (), np.repeat([0, 1], MODES[stage.mode]))
            if stage.pool_share and data.num_envs // max(data.num_workers, 1) < 2:
                raise InputError(
                    f"curriculum.stages: pool_share={stage.pool_share} needs at least 2 arenas in each worker, and "
                    f"data.num_envs={data.num_envs} are shared by {data.num_workers}"
                )
        guests = self.past_selves.settings.guests
        if guests and not data.sees_the_default:
            raise InputError(
                f"curriculum.pool.guests={guests} know the default observation only (data.observation: null)"
            )
        for setting, found in (
            ("curriculum.pool.guests", self.past_selves.guests),
            ("evaluation.anchors", evaluation.opponents if evaluation.interval is not None else {}),
        ):
            check_tick_skip(found, data.game["tick_skip"], setting)
        asked = [one for stage in self.stages if stage.until is not None for one in stage.until.win_rate.items()]
        if asked and (evaluation.interval is None or not data.sees_the_default):
            why = "evaluation.interval is null" if evaluation.interval is None else "data.observation is your own"
            raise InputError(f"curriculum.stages: until.win_rate needs evaluations, and there are none: {why}")
        best = wilson(evaluation.games, evaluation.games).low
        for name, rate in asked:
            if name not in evaluation.anchors:
                raise InputError(f"curriculum.stages: until.win_rate of {name}, who is not in evaluation.anchors")
            if rate > best:
                raise InputError(
                    f"curriculum.stages: until.win_rate={rate} against {name} is out of reach: "
                    f"{evaluation.games} matches that are all won are {best:.2f} for certain; raise evaluation.games"
                )
            while wilson(evaluation.least_games, evaluation.least_games).low < rate:
                evaluation.least_games += 2

    @override
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        self.past_selves.begin(Path(trainer.log_dir or ".", "pool"), checkpoint)
        if self.stages:
            timesteps = trainer.datamodule.timesteps  # type: ignore[attr-defined]
            saved = self.index
            known = min(saved, len(self.stages) - 1)
            self.index = known if by_results(self.stages) else self.stage_at(timesteps)
            stage = self.stages[self.index]
            if self.index != saved or self._played not in ([], [stage.mode, stage.opponent]):  # the plan was edited
                self._begin(trainer, timesteps)
            self._enter(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.stages:
            return
        assert isinstance(pl_module, PPO)
        data = trainer.datamodule  # type: ignore[attr-defined]
        timesteps, iteration = data.timesteps, data.iteration
        self.past_selves.count(iteration.statistics, iteration.timesteps)
        pl_module.record({"curriculum/stage": self.index})
        interval = self.past_selves.settings.interval
        grows = timesteps // interval > (timesteps - iteration.timesteps) // interval
        if grows and trainer.is_global_zero:
            self._add(pl_module, timesteps)
        index = self._next(trainer, timesteps)
        if index != self.index:
            self.index = index
            self._begin(trainer, timesteps)
            pl_module.print(f"[OK] Stage {index}: {self.stages[index]} from {timesteps} timesteps on")
            self._enter(trainer, pl_module)
        elif grows and self._share:
            self.past_selves.deal = []
            self._enter(trainer, pl_module)

    def _begin(self, trainer: L.Trainer, timesteps: int) -> None:
        """Count from here, and forget what was measured in another stage."""
        self._begun_at = timesteps
        self.past_selves.begin_stage()
        if (evaluation := _evaluation(trainer)) is not None:
            evaluation.win_rates_low = {}

    def _next(self, trainer: L.Trainer, timesteps: int) -> int:
        """The stage of the coming iteration; the same in all processes, for all that it goes by is."""
        if not by_results(self.stages):
            return self.stage_at(timesteps)
        until = self.stages[self.index].until
        statistics = trainer.datamodule.iteration.statistics  # type: ignore[attr-defined]
        touches, minutes = statistics["game/touches_per_minute"]
        evaluation = _evaluation(trainer)
        win_rates = evaluation.win_rates_low if evaluation is not None else {}
        over = until is not None and until.holds(timesteps - self._begun_at, touches / (minutes or 1), win_rates)
        return self.index + over

    def _enter(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Play the present stage; who the opponents are is drawn where none are yet.

        The first process reads their files for all, so these need not be on every machine.
        """
        opponent: Opponent | None = None
        if self._share:
            assert isinstance(module, PPO)
            ppo, timesteps = module, trainer.datamodule.timesteps  # type: ignore[attr-defined]
            opponent = together.from_first(lambda: self._opponent(ppo, timesteps))
        trainer.datamodule.play(self.stages[self.index].mode, opponent, self._share)  # type: ignore[attr-defined]

    def _opponent(self, module: PPO, timesteps: int) -> Pool:
        """The past selves that were drawn; the policy as it is now while there is none."""
        pool, seed = self.past_selves, [torch.initial_seed() % 2**63, timesteps]
        if not pool.files:
            self._add(module, timesteps)
        if not pool.deal:
            pool.draw(seed)
        found, dropped = pool.opponent(seed)
        for reason in dropped:
            module.print(f"[ERROR] Opponent dropped: {reason}")
        return found or Pool({"now": FrozenPolicy(module.policy, "the current policy")})

    def _add(self, module: PPO, timesteps: int) -> None:
        try:
            self.past_selves.add(module, timesteps)
        except OSError as error:
            module.print(f"[ERROR] Past self of {timesteps} timesteps not saved ({error.strerror}): training goes on")


def _evaluation(trainer: L.Trainer) -> Evaluation | None:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, Evaluation)), None)
