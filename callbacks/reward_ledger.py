"""What each reward term brings in discounted return, and a warning when one is farmed while goals stay flat."""

from typing import Any

import lightning as L  # noqa: N812
from typing_extensions import override

from callbacks.stages import present
from rlbot.game.statistics import GAIN
from rlbot.ppo.module import PPO

GOALS = "game/goals_per_minute"
OF_GOALS = ("goal", "concede")  # terms that may make any share of the gains
RISE = 1.5  # a term that is farmed has grown by half

Totals = dict[str, float]  # timesteps, goals, minutes, steps, and what each term gained as gain/<term>


class RewardLedger(L.Callback):
    """Logs ``return/<term>`` every iteration: what a car gains by the term in discounted return, losses left out.

    It is the mean over an iteration's steps of the term where it is above 0, weight and mixing included, divided by
    (1 - gamma): the return of a car that gains so much in every step. An estimate: it needs no step to be kept, and
    counts an episode's last steps as if it went on. Losses are left out because in self-play one car's goal is
    another's loss, and with them nothing would be left; ``reward/<term>`` has both.

    Warns, once a stage and term, when a term other than goal and concede makes more than ``share`` of all gains and
    has grown by half since the window of this stage in which goals were most frequent, however long ago that was: what
    is farmed grows slowly.

    Args:
        share: of all gains, above which a term may be farmed: 0 to 1.
        window: timesteps that are judged together.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(self, share: float = 0.8, window: int = 250_000) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"reward_ledger.share={share} must be 0 to 1")
        if window < 1:
            raise ValueError(f"reward_ledger.window={window} must be at least 1")
        self.share, self.window = share, window
        self._stage = 0
        self._warned: list[str] = []  # terms, in this stage
        self._window: Totals = {}  # being filled
        self._best: Totals = {}  # the stage's window with most goals a minute so far

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"stage": self._stage, "warned": self._warned, "filling": self._window, "best": self._best}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._stage, self._warned = int(state_dict["stage"]), list(state_dict["warned"])
        self._window = dict(state_dict.get("filling", {}))  # earlier checkpoints have neither
        self._best = dict(state_dict.get("best", {}))

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PPO)
        iteration = trainer.datamodule.iteration  # type: ignore[attr-defined]
        gains = {tag: ratio for tag, ratio in iteration.statistics.items() if tag.startswith(GAIN)}
        steps = max((amount for _, amount in gains.values()), default=0)
        if not steps:  # another environment, or nothing happened
            return
        horizon = 1 / max(1 - pl_module.gamma, 1e-6)
        pl_module.record({tag.replace(GAIN, "return/"): total / steps * horizon for tag, (total, _) in gains.items()})
        stage, _ = present(trainer.callbacks)  # type: ignore[attr-defined]
        goals, minutes = iteration.statistics[GOALS]
        counted = {"timesteps": iteration.timesteps, "goals": goals, "minutes": minutes, "steps": steps}
        counted |= {tag: total for tag, (total, _) in gains.items()}
        for line in self.judge(stage, counted, horizon):
            pl_module.print(f"[WARN] {line}")

    def judge(self, stage: int, counted: Totals, horizon: float) -> list[str]:
        """Add an iteration's totals; what there is to warn of.

        Args:
            stage: that it was played in.
            counted: its totals.
            horizon: 1 / (1 - gamma).
        """
        if stage != self._stage:
            self._stage, self._warned, self._window, self._best = stage, [], {}, {}
        for name, total in counted.items():
            self._window[name] = self._window.get(name, 0.0) + total
        if self._window["timesteps"] < self.window:
            return []
        now, self._window = self._window, {}
        best = self._best or now
        found = farmed(best, now, self.share, horizon)
        self._best = now if goals_a_minute(now) > goals_a_minute(best) else best
        lines = [line for term, line in found.items() if term not in self._warned]
        self._warned += [term for term in found if term not in self._warned]
        return lines


def goals_a_minute(totals: Totals) -> float:
    """As ``game/goals_per_minute`` has it."""
    return totals["goals"] / totals["minutes"]


def farmed(best: Totals, now: Totals, share: float, horizon: float) -> dict[str, str]:
    """Terms that make more than this share of the gains and grew by half while goals did not; what to say of them."""
    goals = [goals_a_minute(totals) for totals in (best, now)]
    everything = sum(total for name, total in now.items() if name.startswith(GAIN))
    found: dict[str, str] = {}
    for name in now:
        term, gained = name.removeprefix(GAIN), [t.get(name, 0.0) / t["steps"] * horizon for t in (best, now)]
        is_large = name.startswith(GAIN) and term not in OF_GOALS and now[name] > share * everything
        if is_large and gained[1] > RISE * gained[0] and goals[1] <= goals[0]:
            found[term] = (
                f"Reward term {term} makes {now[name] / everything:.0%} of what cars gain. Its return rose from "
                f"{gained[0]:.3g} to {gained[1]:.3g}, goals a minute did not ({goals[0]:.2f} to {goals[1]:.2f}): "
                "lower its weight, or let its weight_end bring it down"
            )
    return found
