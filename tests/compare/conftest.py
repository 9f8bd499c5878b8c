"""The compare command with stand-ins for the commands that it calls."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rlbot.compare import calls, judging, training
from rlbot.compare.command import main
from rlbot.play.report import is_summary

MATCHES = {
    **{"mode": "1v1", "wins": 1, "losses": 0, "draws": 1, "goals_for": 3, "goals_against": 1, "seed": 1},
    **{"win_rate": 0.75, "win_rate_low": 0.2, "win_rate_high": 0.9, "touches_per_minute": 5.0},
}


class Commands:
    """In place of the train and evaluate commands: take note of the words and write the files that are read."""

    def __init__(self, folder: Path) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.fails = False  # a training, once it has saved
        self.torn: str | None = None  # what the evaluation leaves in its file and fails
        (folder / "a.yaml").write_text("model: {gamma: 0.9}  # a comment", encoding="utf-8")
        self.words = [f"a={folder / 'a.yaml'}", "--seeds", "3", "--timesteps", "320", "--games", "2", "--opponents"]
        self.words += ["idle", "--logs", str(folder / "logs"), "--out", str(folder / "out" / "lr0.001")]
        self.seed = folder / "logs" / "a" / "seed_3"

    def __call__(self, script: str, *words: str) -> None:
        self.calls.append((script, *words))
        if script == "evaluate":
            self._evaluate(*words)
            return
        checkpoints = Path(words[words.index("--logdir") + 1]) / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / "last.ckpt").write_text(f"{len(self.calls)}")
        if self.fails:
            raise calls.CallError("train: killed", 75)

    def _evaluate(self, a: str, b: str, *words: str) -> None:
        given = dict(zip(words[::2], words[1::2], strict=True))
        file = Path(given["--json"])
        if file.is_file() and file.read_bytes() and not is_summary(file.read_bytes()):
            raise calls.CallError("evaluate: holds something else", 2)
        matches = json.dumps(MATCHES | {"a": a, "b": b, "games": int(given["--games"])})
        file.write_text(matches if self.torn is None else self.torn)
        if self.torn is not None:
            raise calls.CallError("evaluate: no space left on device", 75)

    def compare(self, *further: str) -> list[str]:
        """What was called."""
        self.calls.clear()
        assert main([*self.words, *further]) == 0
        return [call[0] for call in self.calls]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    replaced = Commands(tmp_path)
    monkeypatch.setattr(calls, "call", replaced)
    monkeypatch.setattr(judging, "curves", lambda *runs: {tag: [(64, 1.0)] for tag in judging.CURVES})
    return replaced


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Has the real calls run a train script of the test's own: ``scripts(its text)``; the words of a comparison."""

    def write(text: str) -> list[str]:
        for folder in ("configs", "scripts"):
            (tmp_path / folder).mkdir()
        (tmp_path / "configs" / "base.yaml").write_text("{}")
        (tmp_path / "scripts" / "train.py").write_text(text)
        for module in (calls, training):
            monkeypatch.setattr(module, "ROOT", tmp_path)
        words = [f"a={tmp_path / 'configs' / 'base.yaml'}", "--logs", str(tmp_path / "logs")]
        return [*words, "--out", str(tmp_path / "found")]

    return write
