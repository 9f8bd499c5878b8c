"""Trainings by the real train command: reused where they are the same, gone on with where they were cut short."""

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from rlbot.__main__ import ROOT
from rlbot.arguments import read_yaml
from rlbot.compare import calls
from rlbot.errors import InputError, TryAgainError
from rlbot.files import write_whole


def digest(*files: Path) -> str:
    """Of what is in the files; empty where one is none, as for opponents that have a name."""
    found = hashlib.sha256()
    for file in files:
        if not file.is_file():
            return ""
        found.update(file.read_bytes())
    return found.hexdigest()


def write(file: Path, text: str) -> None:
    """At once: where it fails, what was there stays.

    Raises:
        TryAgainError: it failed, as on a full disk.
    """
    try:
        write_whole(file, text.encode())
    except OSError as error:
        raise TryAgainError(f"{file}: cannot be written ({error.strerror}); the same command goes on") from error


def _module(name: str) -> str:
    """Of a module that the train command may import, from where it is run or from what is installed: what it holds."""
    spec = PathFinder.find_spec(name.partition(".")[0], [str(Path.cwd()), *sys.path])
    if spec is None:
        raise InputError(f"--allow {name}: there is no such module here")
    files = [file for folder in spec.submodule_search_locations or () for file in Path(folder).rglob("*.py")]
    return digest(*sorted(files or [Path(spec.origin or "")]))


def _checkpoint(name: str) -> str:
    return digest(Path(name)) or name


LOOK_SECONDS = 0.5  # Windows tells of Ctrl-C between two waits only
CONTENTS: Mapping[str, Callable[[str], Any]] = {  # of what a word names, by the option before it
    "--config": read_yaml,
    "-c": read_yaml,
    "--allow": _module,
    "--ckpt_path": _checkpoint,
}


class Training:
    """One recipe with one seed.

    Args:
        folder: of this training, and of what is played with it.
        files: YAML files that stack on configs/base.yaml.
        words: of the train command, after the files.
        after: the training whose last checkpoint this one goes on from; trained first.
    """

    def __init__(
        self, folder: Path, files: Sequence[str], words: Sequence[str], after: "Training | None" = None
    ) -> None:
        self.folder, self._after = folder, after
        stacked = [word for file in (ROOT / "configs" / "base.yaml", *files) for word in ("--config", str(file))]
        self._words = [*stacked, *words, *(("--ckpt_path", str(after.checkpoint)) if after else ())]

    @property
    def run(self) -> Path:
        """The run's own folder."""
        return self.folder / "run"

    @property
    def runs(self) -> list[Path]:
        """The folders of all runs that led here, the first one first."""
        return [*(self._after.runs if self._after else ()), self.run]

    @property
    def checkpoint(self) -> Path:
        """What the training ends with."""
        return self.run / "checkpoints" / "last.ckpt"

    def _what(self) -> str:
        """What is trained: the words, with what they name in place of the name.

        Raises:
            InputError: a file cannot be read, or there is no such module.
        """
        words: list[str] = []
        for word in self._words:
            words += word.split("=", 1) if word.partition("=")[0] in CONTENTS else [word]
        what = [CONTENTS.get(before, str)(word) for before, word in itertools.pairwise(["", *words])]
        return json.dumps(what, indent=1, default=str) + "\n"

    def is_done(self) -> bool:
        """Whether nothing is left to train.

        Raises:
            InputError: the folder holds something else than this training, or a file of the recipe cannot be read.
        """
        if self._after is not None:
            self._after.is_done()  # is its folder its own?
        what, begun, done = self._what(), self.folder / "training", self.folder / "trained"
        if not any(self.folder.rglob("*.ckpt")):
            return False
        marker = begun if begun.is_file() else done
        if not marker.is_file() or marker.read_text(encoding="utf-8") != what:
            raise InputError(
                f"{self.folder}: holds another training than this one (other timesteps, words or settings, or one that "
                "this command did not start or an earlier version did): give another --logs or delete the folder"
            )
        return marker == done

    def train(self) -> None:
        """Through the real command; what is trained already is left alone, and what was begun goes on."""
        if self.is_done():
            return
        if self._after is not None:
            self._after.train()
        words, begun = list(self._words), self.folder / "training"
        if any(self.checkpoint.parent.glob("*.ckpt")):
            words += ["--ckpt_path", "last"]  # wins over one to begin with
        self.folder.mkdir(parents=True, exist_ok=True)
        write(begun, self._what())
        calls.call("train", *words, "--logdir", str(self.run))
        begun.replace(self.folder / "trained")
        print(f"[OK] {self.folder} trained", flush=True)


def train_all(trainings: Sequence[Training], parallel: int) -> None:
    """So many side by side; when one fails, or at a signal, those that are begun save and stop.

    Raises:
        InputError: a folder holds another training; nothing was trained.
        CallError: a training failed.
        TryAgainError: a file cannot be written.
    """
    for training in trainings:
        training.is_done()  # is each folder this training's, before the first one begins?
    pool = ThreadPoolExecutor(parallel)
    futures: list[Future[None]] = [pool.submit(training.train) for training in trainings]
    try:
        left = set(futures)
        while left:
            finished, left = wait(left, LOOK_SECONDS, FIRST_COMPLETED)
            for future in finished:
                future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        if calls.RUNNING:
            print("[OK] Stopping: the same command goes on from what is saved", flush=True)
        while any(future.running() for future in futures):
            calls.stop()
            time.sleep(0.1)
        raise
