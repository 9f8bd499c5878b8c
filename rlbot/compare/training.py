"""Trainings by the real train command: reused where they are the same, gone on with where they were cut short."""

import itertools
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rlbot.__main__ import ROOT
from rlbot.arguments import read_yaml
from rlbot.compare import calls
from rlbot.errors import InputError


class Training:
    """One recipe with one seed.

    Args:
        folder: of this training, and of what is played with it.
        files: YAML files that stack on configs/base.yaml.
        words: of the train command, after the files.
    """

    def __init__(self, folder: Path, files: Sequence[str], words: Sequence[str]) -> None:
        self.folder = folder
        stacked = [word for file in (ROOT / "configs" / "base.yaml", *files) for word in ("--config", str(file))]
        self._words = [*stacked, *words]

    @property
    def run(self) -> Path:
        """The run's own folder."""
        return self.folder / "run"

    @property
    def checkpoint(self) -> Path:
        """What the training ends with."""
        return self.run / "checkpoints" / "last.ckpt"

    def _what(self) -> str:
        """What is trained: the words, each file's settings in place of its name.

        Raises:
            InputError: a file cannot be read.
        """
        words: list[str] = []
        for word in self._words:
            words += word.split("=", 1) if word.startswith("--config=") else [word]
        pairs = itertools.pairwise(["", *words])
        what = [read_yaml(word) if before in ("--config", "-c") else word for before, word in pairs]
        return json.dumps(what, indent=1, default=str) + "\n"

    def is_done(self) -> bool:
        """Whether nothing is left to train.

        Raises:
            InputError: the folder holds something else than this training, or a file of the recipe cannot be read.
        """
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
        words, begun = list(self._words), self.folder / "training"
        if any(self.checkpoint.parent.glob("*.ckpt")):
            words += ["--ckpt_path", "last"]  # wins over one to begin with
        self.folder.mkdir(parents=True, exist_ok=True)
        begun.write_text(self._what(), encoding="utf-8")
        calls.call("train", *words, "--logdir", str(self.run))
        begun.replace(self.folder / "trained")
        print(f"[OK] {self.folder} trained", flush=True)


def train_all(trainings: Sequence[Training], parallel: int) -> None:
    """So many side by side; when one fails, or at a signal, those that are begun save and stop.

    Raises:
        InputError: a folder holds another training; nothing was trained.
        CallError: a training failed.
    """
    for training in trainings:
        training.is_done()  # is each folder this training's, before the first one begins?
    pool = ThreadPoolExecutor(parallel)
    futures = [pool.submit(training.train) for training in trainings]
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        if calls.RUNNING:
            print("[OK] Stopping: what is being trained is saved; the same command goes on with it", flush=True)
        while any(future.running() for future in futures):
            calls.stop()
            time.sleep(0.1)
        raise
