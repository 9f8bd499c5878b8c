"""How good the policy is while it learns: whole matches against anchors and past selves, ratings with intervals."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning as L  # noqa: N812
import numpy as np
import torch
from typing_extensions import override

from callbacks.stages import present
from rlbot.errors import InputError
from rlbot.game.match import MODES, Opponent
from rlbot.league.frozen import FrozenPolicy
from rlbot.league.opponents import find_all
from rlbot.league.ratings import Ledger, Result, ratings
from rlbot.play.evaluation import Pairing
from rlbot.play.matches import MatchResult
from rlbot.play.report import Summary, summary
from rlbot.play.rounds import affordable_games, play_round
from rlbot.ppo import together
from rlbot.ppo.module import PPO
from rlbot.runs import NUMBERED, numbered_name
from rlbot.threads import one_thread

FIRST_GUESS = 0.1, 0.5 / 300  # seconds for an arena, and for a second of a 1v1 match, until some were measured
FIRST_SHARE = 5  # the first evaluation plays one in so many of the matches: it finds out what they cost
RATED_RESULTS = 250  # newest ones that ratings are fitted to: with all of a long run's the fit would take seconds


class _StoppedError(Exception):
    """A signal came: the matches are given up."""


class Found(NamedTuple):
    """What an evaluation found, as all processes need it."""

    scalars: dict[str, float]
    win_rates_low: dict[str, float]  # by anchor: the lower end of the 95 % interval


class Evaluation(L.Callback):
    """Plays the present policy, drawing its actions, against opponents that stay as they are.

    The matches have arenas and random streams of their own: training is the same with and without. The results are
    added to ``ratings.jsonl`` in the run's folder, which ``evaluate --ledger`` reads.

    Args:
        interval: timesteps between evaluations, the first at that many; null for none.
        games: matches against each opponent, even; fewer where they would cost too much.
        anchors: opponents by name, or files; at least one. Their names are in the logged tags.
        num_past_selves: opponents from the run's own past, spread evenly over it.
        mode: 1v1 or 2v2; null for 2v2 while a 2v2 stage is played, and 1v1 before. Ratings are of a mode.
        match_seconds: game time of a match, and at most of its overtime.
        max_share: of the run's wall time that evaluations may take; null for no limit.

    Raises:
        ValueError: a setting out of range, or an unknown anchor.
    """

    def __init__(
        self,
        interval: int | None = 500_000,
        games: int = 20,
        anchors: Sequence[str] = ("random", "idle", "chaser"),
        num_past_selves: int = 2,
        mode: Literal["1v1", "2v2"] | None = None,
        match_seconds: float = 300.0,
        max_share: float | None = 0.05,
    ) -> None:
        labels = {Path(name).stem for name in anchors}
        rules = (
            ("interval", interval, "at least 1, or null", interval is None or interval >= 1),
            ("games", games, "even, at least 2", games >= 2 and games % 2 == 0),
            ("anchors", list(anchors), "at least one, of different file names", len(labels) == len(anchors) > 0),
            ("num_past_selves", num_past_selves, "not below 0", num_past_selves >= 0),
            ("match_seconds", match_seconds, "above 0, at most 3600", 0 < match_seconds <= 3600),
            ("max_share", max_share, "above 0 and at most 1", max_share is None or 0 < max_share <= 1),
        )
        if wrong := [f"{name}={value} ({rule})" for name, value, rule, holds in rules if not holds]:
            raise ValueError(f"evaluation: {'; '.join(wrong)}")
        with torch.random.fork_rng(devices=[]):  # a policy that is read draws weights first
            self.opponents: dict[str, Opponent] = find_all(anchors, "evaluation.anchors")
        self.interval, self.games, self.anchors = interval, games, list(anchors)
        self.num_past_selves, self.mode = num_past_selves, mode
        self.match_seconds, self.max_share = match_seconds, max_share
        self.least_games = 2  # against each opponent, below which an evaluation is put off
        self.win_rates_low: dict[str, float] = {}  # by anchor, of the newest evaluation
        self.seconds_taken = 0.0  # in this iteration
        self._due_since = 0  # timesteps; 0: not due
        self._spent = self._elapsed = 0.0  # seconds of evaluations, and of the run up to the resume
        an_arena, a_second = FIRST_GUESS
        self._seconds_a_match = an_arena + a_second * match_seconds  # of 1v1; with more cars it is as much for each
        self._results: list[Result] = []
        self._begun = time.perf_counter()

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "win_rates_low": self.win_rates_low,
            "due_since": self._due_since,
            "seconds": [self._spent, self._run_seconds, self._seconds_a_match],
            "results": [[r.mode, r.a, r.b, r.wins, r.losses, r.draws] for r in self._results],
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.win_rates_low, self._due_since = dict(state_dict["win_rates_low"]), state_dict["due_since"]
        self._spent, self._elapsed, self._seconds_a_match = state_dict["seconds"]
        self._results = [Result(*result) for result in state_dict["results"]]

    @property
    def _run_seconds(self) -> float:
        return self._elapsed + time.perf_counter() - self._begun

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begun = time.perf_counter()
        data = trainer.datamodule  # type: ignore[attr-defined]
        if data.plays_rocket_league and not data.sees_the_default:
            pl_module.print("[OK] No evaluation: its opponents know the default observation only")
        folder = trainer.log_dir  # asks all processes
        if trainer.is_global_zero:
            self._drop_later(data.timesteps, folder, pl_module)

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds_taken = 0.0
        data = trainer.datamodule  # type: ignore[attr-defined]
        if self.interval is None or not data.sees_the_default:
            return
        if data.timesteps // self.interval > (data.timesteps - data.iteration.timesteps) // self.interval:
            self._due_since = self._due_since or data.timesteps
        if not self._due_since:
            return
        assert isinstance(pl_module, PPO)
        ppo, begun = pl_module, time.perf_counter()
        folder = trainer.log_dir  # asks all processes
        found = together.from_first(lambda: self._evaluate(trainer, ppo, folder))
        self.seconds_taken = time.perf_counter() - begun
        self._spent += self.seconds_taken
        if found is not None:
            self._due_since = 0
            self.win_rates_low |= found.win_rates_low
            ppo.record(found.scalars | {"evaluation/wall_time_share": self._spent / self._run_seconds})

    def _evaluate(self, trainer: L.Trainer, module: PPO, folder: str | None) -> Found | None:
        """Play if the time allows it; None puts it off."""
        begun = time.perf_counter()
        timesteps = trainer.datamodule.timesteps  # type: ignore[attr-defined]
        mode = self.mode or _mode_of_the_stage(trainer)
        past = self._past_selves(trainer, timesteps)
        num_opponents = len(self.opponents) + len(past)
        budget = None if self.max_share is None else self.max_share * self._run_seconds - self._spent
        wanted = self.games if budget is None or self._results else 2 * max(self.games // FIRST_SHARE // 2, 1)
        seconds_a_match = self._seconds_a_match * MODES[mode][0]
        games = affordable_games(wanted, num_opponents, seconds_a_match, budget, self.least_games)
        if games == 0:
            return None
        try:
            with torch.random.fork_rng(devices=[]), one_thread():
                played = self._play(trainer, module, past, mode, games)
        except _StoppedError:
            return None
        except Exception as error:  # whatever it is, training is worth more
            module.print(f"[ERROR] No evaluation at {timesteps} timesteps ({error!r}): training goes on")
            return Found({}, {})
        seconds = time.perf_counter() - begun
        self._seconds_a_match = seconds / (games * num_opponents * MODES[mode][0])
        named = {**{name: name for name in self.opponents}, **{tag: file.stem for tag, file in past.items()}}
        found = {
            tag: summary(Pairing(_name(timesteps), named[tag], mode, 0), results) for tag, results in played.items()
        }
        self._note([Result.of({**one, "seed": None}) for one in found.values()], module, folder)
        scalars = self._scalars(found, timesteps, mode, games)
        low, rating, high = (scalars[f"evaluation/rating{end}"] for end in ("_low", "", "_high"))
        wins = ", ".join(f"{100 * one['win_rate']:.0f} % against {tag}" for tag, one in found.items())
        module.print(
            f"[OK] Evaluation at {timesteps} timesteps in {mode}: rating {rating:.1f} ({low:.1f} to {high:.1f}), "
            f"wins {wins} ({games} matches each, {seconds:.1f} s)"
        )
        return Found(scalars, {name: found[name]["win_rate_low"] for name in self.opponents})

    def _past_selves(self, trainer: L.Trainer, timesteps: int) -> dict[str, Path]:
        """Files of past selves by tag, ``past_self_1`` the oldest, as near as may be to an even spread over the run."""
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        pool = next((callback.past_selves for callback in callbacks if hasattr(callback, "past_selves")), None)
        files = (
            {} if pool is None else {steps: file for steps, file in pool.by_timesteps().items() if steps < timesteps}
        )
        targets = [timesteps * i / (self.num_past_selves + 1) for i in range(1, self.num_past_selves + 1)]
        nearest = dict.fromkeys(min(files, key=lambda steps: abs(steps - target)) for target in targets if files)
        return {f"past_self_{i}": files[steps] for i, steps in enumerate(nearest, 1)}

    def _play(
        self, trainer: L.Trainer, module: PPO, past: Mapping[str, Path], mode: str, games: int
    ) -> dict[str, list[MatchResult]]:
        data, callbacks = trainer.datamodule, trainer.callbacks  # type: ignore[attr-defined]
        thawed = {tag: _thaw(file, module) for tag, file in past.items()}
        opponents = self.opponents | {tag: policy for tag, policy in thawed.items() if policy is not None}

        def look() -> None:
            if any(getattr(callback, "signum", 0) for callback in callbacks):
                raise _StoppedError

        seed = int(np.random.SeedSequence([torch.initial_seed() % 2**63, data.timesteps]).generate_state(1)[0])
        policy = FrozenPolicy(module.policy, "the present policy")
        return play_round(
            policy, opponents, games, mode, seed,
            seconds=self.match_seconds, tick_skip=data.game["tick_skip"], each_step=look,
        )  # fmt: skip

    def _note(self, results: Sequence[Result], module: PPO, folder: str | None) -> None:
        """Keep the results, and write them to the ledger."""
        self._results = [*self._results, *results][-RATED_RESULTS:]
        ledger = _ledger(folder)
        try:
            for result in results:
                ledger.add(result)
        except OSError as error:
            module.print(f"[ERROR] Results not written to {ledger.path} ({error.strerror}): training goes on")

    def _drop_later(self, timesteps: int, folder: str | None, module: L.LightningModule) -> None:
        """Take out of the ledger what was noted after the checkpoint that the run goes on from, as in TensorBoard."""
        ledger = _ledger(folder)
        try:
            number = ledger.drop(lambda result: _timesteps(result.a) > timesteps)
        except (OSError, InputError) as error:
            module.print(f"[ERROR] Later results stay in {ledger.path} ({error}): training goes on")
        else:
            if number:
                module.print(f"[OK] Dropped from {ledger.path}: {number} results noted after {timesteps} timesteps")

    def _scalars(self, found: Mapping[str, Summary], timesteps: int, mode: str, games: int) -> dict[str, float]:
        """What is logged."""
        scalars = {}
        for tag, one in found.items():
            label = Path(tag).stem
            scalars[f"evaluation/{label}/win_rate"] = one["win_rate"]
            scalars[f"evaluation/{label}/goals"] = one["goals_for"] / games
            scalars[f"evaluation/{label}/goals_against"] = one["goals_against"] / games
        rating = ratings(self._results, mode)[_name(timesteps)]
        touches = [one["touches_per_minute"] for one in found.values()]
        return scalars | {
            "evaluation/rating": rating.mean,
            "evaluation/rating_low": rating.low,
            "evaluation/rating_high": rating.high,
            "evaluation/touches_per_minute": sum(touches) / len(touches),
            "evaluation/games": games,
            "evaluation/put_off_timesteps": timesteps - self._due_since,
        }


def _mode_of_the_stage(trainer: L.Trainer) -> str:
    """The matches that tell most of it: in 1v2 the learner is alone, as in 1v1."""
    _, stage = present(trainer.callbacks)  # type: ignore[attr-defined]
    return "2v2" if stage == "2v2" else "1v1"


def _thaw(file: Path, module: PPO) -> FrozenPolicy | None:
    try:
        return FrozenPolicy.load(file)
    except InputError as error:
        module.print(f"[ERROR] Not evaluated against: {error}")
        return None


def _ledger(folder: str | None) -> Ledger:
    return Ledger(Path(folder or ".", "ratings.jsonl"))


def _timesteps(name: str) -> int:
    """Of this run's policy of that name; -1 for all others."""
    match = NUMBERED.fullmatch(f"{name}.ckpt")
    return int(match[1]) if match else -1


def _name(timesteps: int) -> str:
    """The policy of this moment in the ledger, and as a past self."""
    return Path(numbered_name(timesteps)).stem
