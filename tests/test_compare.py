"""Recipes are trained, played and drawn by one command."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rlbot.__main__ import ROOT
from rlbot.errors import InputError
from rlbot.launch import run

spec = importlib.util.spec_from_file_location("compare", ROOT / "scripts" / "compare.py")
assert spec is not None
assert spec.loader is not None
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)

TINY = """
model: {hidden_sizes: [8]}
data: {num_envs: 2, batch_size: 64, minibatch_size: 32, num_workers: 0}
curriculum: {stages: [{mode: 1v1}]}
"""

MATCHES = {"goals_for": 3, "goals_against": 1, "win_rate": 0.75}


class Commands:
    """In place of the train and evaluate commands: take note of the words and write the files that are read."""

    def __init__(self, folder) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.fails = False  # once it has saved
        (folder / "a.yaml").write_text("model: {gamma: 0.9}  # a comment", encoding="utf-8")
        self.words = [f"a={folder / 'a.yaml'}", "--seeds", "3", "--timesteps", "320", "--games", "2", "--opponents"]
        self.words += ["idle", "--logs", str(folder / "logs"), "--out", str(folder / "out" / "lr0.001")]
        self.seed = folder / "logs" / "a" / "seed_3"

    def __call__(self, script: str, *words: str) -> None:
        self.calls.append((script, *words))
        if script == "evaluate":
            matches = MATCHES | {"b": words[1], "games": int(words[words.index("--games") + 1])}
            compare.Path(words[words.index("--json") + 1]).write_text(json.dumps(matches))
            return
        checkpoints = compare.Path(words[words.index("--logdir") + 1]) / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / "last.ckpt").write_text(f"{len(self.calls)}")
        if self.fails:
            raise compare.CallError("train: killed", 75)

    def compare(self, *further: str) -> list[str]:
        """What was called."""
        self.calls.clear()
        assert compare.main([*self.words, *further]) == 0
        return [call[0] for call in self.calls]


@pytest.fixture
def commands(tmp_path, monkeypatch):
    replaced = Commands(tmp_path)
    monkeypatch.setattr(compare, "_call", replaced)
    monkeypatch.setattr(compare.Run, "curves", lambda run: {tag: [(64, 1.0)] for tag in compare.PANELS})
    return replaced


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """Has the real calls run a train script of the test's own: ``scripts(its text)``; the words of a comparison."""

    def write(text: str) -> list[str]:
        for folder in ("configs", "scripts"):
            (tmp_path / folder).mkdir()
        (tmp_path / "configs" / "base.yaml").write_text("{}")
        (tmp_path / "scripts" / "train.py").write_text(text)
        monkeypatch.setattr(compare, "ROOT", tmp_path)
        monkeypatch.setitem(sys.modules, "compare", compare)
        words = [f"a={tmp_path / 'configs' / 'base.yaml'}", "--logs", str(tmp_path / "logs")]
        return [*words, "--out", str(tmp_path / "found")]

    return write


def leave(words: list[str]) -> int:
    """Exit code of the command, in this process."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    hook = threading.excepthook
    try:
        with pytest.raises(SystemExit) as left:
            run("compare:main", words)
    finally:
        threading.excepthook = hook
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    return int(left.value.code)


def test_mark_is_reached_where_the_mean_of_five_iterations_reaches_it():
    curve = [(100 * i, float(i)) for i in range(1, 11)]  # 1 at 100, 2 at 200, ...
    assert compare.first_reached(curve, 5.0) == 700  # (3 + 4 + 5 + 6 + 7) / 5
    assert compare.first_reached(curve, 8.5) is None
    assert compare.at(curve, 650) == 4.0  # (2 + 3 + 4 + 5 + 6) / 5
    assert compare.at(curve, 1001) is None


def test_comparison_is_written_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    words = [f"tiny={tmp_path / 'tiny.yaml'}", "--seeds", "3", "4", "--timesteps", "320", "--games", "2"]
    words += ["--opponents", "idle", "--reference", "random", "--workers", "1"]
    words += ["--logs", str(tmp_path / "logs"), "--out", str(tmp_path / "out" / "found")]
    assert compare.main(words) == 0
    found = json.loads((tmp_path / "out" / "found.json").read_text())["tiny"]
    assert sorted(found) == ["3", "4"]
    assert [step for step, _ in found["3"]["curves"]["game/goals_per_minute"]] == list(range(64, 321, 64))
    seeds = [run.read_text().splitlines()[1] for run in sorted((tmp_path / "logs").rglob("config.yaml"))]
    assert seeds == ["seed_everything: 3", "seed_everything: 4"]
    for opponent in ("idle", "reference"):
        played = json.loads((tmp_path / "logs" / "tiny" / "seed_4" / f"against_{opponent}.json").read_text())
        assert found["4"][f"win_rate_{opponent}"] == played["win_rate"] > played["win_rate_low"]
    assert not any("chaser" in name for name in found["4"])
    assert "<svg" in (tmp_path / "out" / "found.svg").read_text()
    first = capsys.readouterr().out
    monkeypatch.setattr(compare, "_call", lambda *words: pytest.fail("nothing is left to do"))
    assert compare.main(words) == 0
    assert first.endswith(capsys.readouterr().out)
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(compare, "_call", lambda *words: calls.append(words))
    words[words.index("random")] = "chaser"  # results against another reference are not this one's
    assert compare.main(words) == 0
    assert [call[2] for call in calls] == ["chaser", "chaser"]


def test_training_is_reused_only_for_the_same_words_and_settings(commands, tmp_path):
    assert commands.compare() == ["train", "evaluate"]
    (tmp_path / "a.yaml").write_text("model:\n  gamma: 0.9", encoding="utf-8")  # the same settings
    assert commands.compare() == []
    for further in (["--timesteps", "640"], ["--train", "--model.gamma", "0.8"]):
        with pytest.raises(InputError, match=r"seed_3: holds another training .* --logs or delete the folder"):
            commands.compare(*further)
    (tmp_path / "a.yaml").write_text("model: {gamma: 0.8}", encoding="utf-8")
    with pytest.raises(InputError, match="seed_3: holds another training"):
        commands.compare()
    assert commands.calls == []


def test_files_among_the_further_words_count_by_their_settings(commands, tmp_path):
    (tmp_path / "b.yaml").write_text("{}", encoding="utf-8")
    for given in (["--config", str(tmp_path / "b.yaml")], [f"--config={tmp_path / 'b.yaml'}"]):
        commands.compare("--train", *given)
    (tmp_path / "b.yaml").write_text("save_interval: 7", encoding="utf-8")
    with pytest.raises(InputError, match="holds another training"):
        commands.compare("--train", *given)


@pytest.mark.parametrize("file", ["trained", "config.yaml"])
def test_training_of_an_earlier_version_or_by_hand_is_not_reused(commands, file):
    (commands.seed / "checkpoints").mkdir(parents=True)
    (commands.seed / "checkpoints" / "last.ckpt").touch()
    (commands.seed / file).touch()
    with pytest.raises(InputError, match="holds another training"):
        commands.compare()


def test_matches_are_played_again_for_another_checkpoint_reference_or_number(commands, tmp_path):
    reference = tmp_path / "guest.ckpt"
    further = ["--reference", "random"]
    assert commands.compare(*further) == ["train", "evaluate", "evaluate"]
    assert commands.compare(*further) == []
    assert commands.compare(*further, "--games", "4") == ["evaluate", "evaluate"]
    (commands.seed / "run" / "checkpoints" / "last.ckpt").write_text("another")
    assert commands.compare(*further, "--games", "4") == ["evaluate", "evaluate"]
    reference.write_text("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "find", lambda name: None)  # it is no real checkpoint
        further = ["--reference", str(reference), "--games", "4"]
        assert commands.compare(*further) == ["evaluate"]
        reference.write_text("another under the same name")
        assert commands.compare(*further) == ["evaluate"]
        assert commands.compare(*further) == []


def test_training_that_was_interrupted_goes_on_from_its_last_checkpoint(commands, tmp_path):
    begin = ["--train", "--ckpt_path", "before.ckpt"]
    commands.fails = True
    for _ in range(2):
        with pytest.raises(compare.CallError):
            commands.compare(*begin)
    with pytest.raises(InputError, match="holds another training"):
        commands.compare()
    assert commands.calls == []
    commands.fails = False
    assert commands.compare(*begin) == ["train", "evaluate"]
    words = commands.calls[0]
    assert words[-4:] == ("--ckpt_path", "last", "--logdir", str(commands.seed / "run"))
    assert words.index("before.ckpt") < words.index("last")
    assert commands.compare(*begin) == []


def test_training_that_saved_nothing_begins_again(commands):
    commands.fails = True
    with pytest.raises(compare.CallError):
        commands.compare()
    (commands.seed / "run" / "checkpoints" / "last.ckpt").unlink()
    commands.fails = False
    assert commands.compare("--timesteps", "640") == ["train", "evaluate"]  # whatever it was
    assert "--ckpt_path" not in commands.calls[0]


def test_training_whose_checkpoint_is_lost_is_done_again_and_not_taken_for_done_before(commands):
    commands.compare()
    (commands.seed / "run" / "checkpoints" / "last.ckpt").unlink()
    commands.fails = True
    with pytest.raises(compare.CallError):
        commands.compare()
    commands.fails = False
    assert commands.compare()[0] == "train"


def test_name_of_what_is_written_keeps_its_dots(commands, tmp_path):
    commands.compare()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        f"lr0.001.{kind}" for kind in ("json", "md", "svg")
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--games", "1"], "--games 1: must be at least 2"),
        (["--parallel", "0"], "--parallel 0: must be at least 1"),
        (["--workers", "0"], "--workers 0: must be at least 1"),
        (["--timesteps", "0"], "--timesteps 0: must be at least 1"),
        (["--seeds", "1", "-1"], "--seeds -1: must be at least 0"),
        (["--opponents", "idel"], "opponent='idel' is none of random, idle"),
        (["--reference", "no.ckpt"], "opponent='no.ckpt' is none of random, idle"),
        (["--out", "."], "--out .: must name a file"),
        (["--out", f"{__file__}/x"], f"--out {__file__}/x: cannot be written"),
        (["--train", "--config", "no.yaml"], "config=no.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_trained(commands, given, message):
    with pytest.raises(InputError) as refused:
        commands.compare(*given)
    assert str(refused.value).startswith(message)
    assert commands.calls == []


def test_without_matplotlib_nothing_is_trained(commands, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match="the plot needs matplotlib"):
        commands.compare()
    assert commands.calls == []


def test_second_recipe_that_holds_another_training_ends_it_before_the_first_is_trained(commands):
    (commands.seed.parents[1] / "b" / "seed_3").mkdir(parents=True)
    (commands.seed.parents[1] / "b" / "seed_3" / "last.ckpt").touch()
    commands.words.insert(1, commands.words[0].replace("a=", "b=", 1))
    with pytest.raises(InputError, match="seed_3: holds another training"):
        commands.compare()
    assert commands.calls == []


def test_command_says_what_is_wrong_in_one_line(tmp_path):
    script = str(ROOT / "scripts" / "compare.py")
    command = [sys.executable, script, "a=configs/1v1.yaml", "--parallel", "0", "--out", str(tmp_path / "found")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "[ERROR] --parallel 0: must be at least 1\n")


@pytest.mark.parametrize(("theirs", "ours"), [(2, 2), (75, 1), (1, 1)])
def test_failed_training_is_told_in_one_line(scripts, capsys, theirs, ours):
    words = scripts(f"import sys; print('[WARN] x\\n[ERROR] model: no good', file=sys.stderr); sys.exit({theirs})")
    assert leave(words) == ours
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("[ERROR] train --config ")
    assert said.endswith(": model: no good\n")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_trainings_that_are_begun_and_begins_no_other(scripts, tmp_path, capsys, signum):
    words = scripts("""
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[-1])
def save(*_):
    (folder / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
folder.mkdir(parents=True)
time.sleep(60)
""")

    def interrupt() -> None:
        while len(list((tmp_path / "logs").glob("a/*/run"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signum)

    threading.Thread(target=interrupt, daemon=True).start()
    assert leave([*words, "--parallel", "2"]) == 128 + signum
    assert capsys.readouterr().err == ""
    logs = tmp_path / "logs" / "a"
    assert sorted(file.parent.parent.name for file in logs.glob("*/run/saved")) == ["seed_1", "seed_2"]
    assert not (logs / "seed_3").exists()
    assert not compare.RUNNING
