"""Past selves of a run and guests: files of weights, what the learner has done against each, and who plays next."""

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlbot.errors import InputError
from rlbot.game.match import Opponent
from rlbot.league.frozen import FrozenPolicy
from rlbot.league.opponents import find_all
from rlbot.league.pool import RESULTS, Pool, chances, thinned
from rlbot.ppo.checkpoint import AtomicCheckpointIO
from rlbot.ppo.module import PPO
from rlbot.runs import NUMBERED, numbered_name

PRIOR_EPISODES = 4.0  # drawn ones that every member begins with, so that a few results do not decide


@dataclass(frozen=True)
class PoolSettings:
    """The pool of past selves.

    Args:
        interval: timesteps between two past selves; who plays is drawn anew with each.
        size: most past selves that are kept, at least 2, spread over the run.
        num_opponents: how many are drawn to share the arenas; one that is drawn twice has twice as many.
        hardness: p of the weight (1 - win rate)^p by which they are drawn; 0 draws all alike.
        newest_share: of the draws that go to the newest whatever the results.
        any_share: of the draws that go to all alike whatever the results.
        half_life: timesteps after which a result counts half.
        guests: opponents by name, or files, that are drawn like the past selves; see ``rlbot.league.opponents``.
    """

    interval: int = 250_000
    size: int = 20
    num_opponents: int = 4
    hardness: float = 2.0
    newest_share: float = 0.2
    any_share: float = 0.1
    half_life: int = 500_000
    guests: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise ValueError that names all settings out of range."""
        rules = (
            ("interval", "at least 1", self.interval >= 1),
            ("size", "at least 2", self.size >= 2),
            ("num_opponents", "at least 1", self.num_opponents >= 1),
            ("hardness", "not below 0", self.hardness >= 0),
            ("newest_share", "0 to 1", 0 <= self.newest_share <= 1),
            ("any_share", "0 to 1 with newest_share", 0 <= self.any_share <= 1 - self.newest_share),
            ("half_life", "at least 1", self.half_life >= 1),
            ("guests", "different names", len(set(self.guests)) == len(self.guests)),
        )
        if wrong := [f"{name}={getattr(self, name)} ({rule})" for name, rule, holds in rules if not holds]:
            raise ValueError(f"curriculum.pool: {'; '.join(wrong)}")


class PastSelves:
    """Files of weights only, apart from the checkpoints: those are larger, deleted by another rule, and rarer.

    Args:
        settings: how many, and how they are drawn.

    Raises:
        InputError: an unknown guest.
        ValueError: a setting out of range.
    """

    def __init__(self, settings: PoolSettings) -> None:
        settings.check()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):  # a policy that is read draws weights first
            self.guests: dict[str, Opponent] = find_all(settings.guests, "curriculum.pool.guests")
        self.folder = Path()  # where this run's files go
        self.files: dict[str, Path] = {}  # by name, oldest first
        self.results: dict[str, list[float]] = {}  # the learner's points and the episodes, by name; old ones fade
        self.deal: list[str] = []  # who plays
        self._retired: list[Path] = []  # deleted when the next one is added: until then a save may need them
        self._frozen: dict[str, FrozenPolicy] = {}

    def begin(self, folder: Path, checkpoint: Path | None = None) -> None:
        """Keep files in this folder from now on, and find those of before where they were moved to since.

        A folder one file of which lies in a new place was moved there: what stands at its old path by now may be
        another run's.

        Args:
            folder: for this run's files.
            checkpoint: that the run goes on from; its own run's files are in the ``pool`` beside its folder.
        """
        self.folder = folder.absolute()
        beside = [] if checkpoint is None else [checkpoint.resolve().parent.parent / folder.name]
        for place in (*beside, self.folder):
            moved = {file.parent for file in self.files.values() if os.path.isfile(place / file.name)}
            self.files = {name: _moved(file, moved, place) for name, file in self.files.items()}
            self._retired = [_moved(file, moved, place) for file in self._retired]

    def state_dict(self) -> dict[str, Any]:
        """Plain values only."""
        files = {name: file.as_posix() for name, file in self.files.items()}
        retired = [file.as_posix() for file in self._retired]
        return {"files": files, "results": self.results, "deal": self.deal, "retired": retired}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` gave."""
        self.files = {name: Path(file) for name, file in state["files"].items()}
        self.results = {name: list(result) for name, result in state["results"].items()}
        self.deal, self._retired = list(state["deal"]), [Path(file) for file in state["retired"]]

    def add(self, module: PPO, timesteps: int) -> None:
        """Save the policy as it is now, and drop one where there are too many.

        Raises:
            OSError: the file could not be written.
        """
        file = self.folder / numbered_name(timesteps)
        weights = {f"policy.{name}": tensor.detach().cpu() for name, tensor in module.policy.state_dict().items()}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
            return
        AtomicCheckpointIO().save_checkpoint({"architecture": module.architecture, "state_dict": weights}, file)
        self.files[file.stem] = file
        for old in self._retired:
            if old.parent == file.parent and old not in self.files.values():
                with contextlib.suppress(OSError):  # Windows keeps what another program reads
                    old.unlink(missing_ok=True)
        known = self.by_timesteps()
        self._retired = [self.files.pop(known[one].stem) for one in thinned(list(known), self.settings.size)]

    def by_timesteps(self) -> dict[int, Path]:
        """The files, oldest first."""
        found = ((NUMBERED.fullmatch(file.name), file) for file in self.files.values())
        return dict(sorted((int(match[1]), file) for match, file in found if match))

    def count(self, statistics: Mapping[str, tuple[float, float]], timesteps: int) -> None:
        """Take in an iteration's results; earlier ones fade by its ``timesteps``."""
        fading = 0.5 ** (timesteps / self.settings.half_life)
        members = {*self.guests, *self.files}
        self.results = {n: [p * fading, e * fading] for n, (p, e) in self.results.items() if n in members}
        for tag, (points, episodes) in statistics.items():
            name = tag.removeprefix(RESULTS)
            if tag.startswith(RESULTS) and name in members and episodes:
                before = self.results.get(name, [0.0, 0.0])
                self.results[name] = [before[0] + points, before[1] + episodes]

    def begin_stage(self) -> None:
        """Forget who plays and what was measured, which says nothing about another mode."""
        self.results, self.deal = {}, []

    def win_rate(self, name: str) -> float:
        """The learner's against this one, a goalless episode as half a win; a half while nothing is known."""
        points, episodes = self.results.get(name, (0.0, 0.0))
        return (points + PRIOR_EPISODES / 2) / (episodes + PRIOR_EPISODES)

    def draw(self, seed: Sequence[int]) -> None:
        """Draw who plays; the same seed, files and results give the same."""
        names, chosen = [*self.guests, *self.files], self.settings
        if not names:
            self.deal = []
            return
        weights = chances(
            [self.win_rate(name) for name in names], chosen.hardness, chosen.newest_share, chosen.any_share
        )
        drawn = np.random.default_rng(seed).choice(len(names), chosen.num_opponents, p=weights)
        self.deal = [names[i] for i in sorted(drawn.tolist())]

    def opponent(self, seed: Sequence[int]) -> tuple[Pool | None, list[str]]:
        """Those that were drawn, None where nobody is left; and why files that cannot be read any more were dropped.

        Args:
            seed: to draw again by, without the files that were dropped.
        """
        reasons: list[str] = []
        if not {*self.deal} <= {*self.guests, *self.files}:  # the guests were edited before a resume
            self.draw(seed)
        while self.deal:
            self._frozen = {name: policy for name, policy in self._frozen.items() if name in self.deal}
            drawn = [name for name in dict.fromkeys(self.deal) if name not in self.guests]
            broken = [reason for name in drawn if (reason := self._thaw(name))]
            if not broken:
                return Pool(self.guests | self._frozen, self.deal), reasons
            reasons += broken
            self.draw(seed)
        return None, reasons

    def _thaw(self, name: str) -> str:
        """Have this one's policy at hand; why its file cannot be read and was dropped, empty if it can."""
        try:
            self._frozen[name] = self._frozen.get(name) or FrozenPolicy.load(self.files[name])
        except InputError as error:
            self.files.pop(name, None)
            return str(error)
        return ""


def _moved(file: Path, folders: Collection[Path], place: Path) -> Path:
    """Where the file is after these folders were moved to this place."""
    return place / file.name if file.parent in folders else file
