"""Recipes are trained, played and drawn by one command."""

import errno
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlbot.__main__ import ROOT
from rlbot.compare import calls
from rlbot.compare.command import main
from rlbot.errors import InputError, TryAgainError

TINY = """
model: {hidden_sizes: [8]}
data: {num_envs: 2, batch_size: 64, minibatch_size: 32, num_workers: 0, tick_skip: 120}
curriculum: {stages: [{mode: 1v1}]}
"""  # it decides once a second: most of a match's work is deciding


def test_comparison_is_written_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    words = [f"tiny={tmp_path / 'tiny.yaml'}", "--seeds", "3", "--timesteps", "192", "--games", "2"]
    words += ["--opponents", "idle", "--reference", "random", "--workers", "1"]
    words += ["--logs", str(tmp_path / "logs"), "--out", str(tmp_path / "out" / "found")]
    assert main(words) == 0
    found = json.loads((tmp_path / "out" / "found.json").read_text())["tiny"]
    assert list(found) == ["3"]
    assert [step for step, _ in found["3"]["curves"]["game/goals_per_minute"]] == [64, 128, 192]
    seeds = [run.read_text().splitlines()[1] for run in (tmp_path / "logs").rglob("config.yaml")]
    assert seeds == ["seed_everything: 3"]
    for opponent in ("idle", "reference"):
        played = json.loads((tmp_path / "logs" / "tiny" / "seed_3" / f"against_{opponent}.json").read_text())
        assert found["3"][f"win_rate_{opponent}"] == played["win_rate"] > played["win_rate_low"]
    assert not any("chaser" in name for name in found["3"])
    assert "<svg" in (tmp_path / "out" / "found.svg").read_text()
    first = capsys.readouterr().out
    monkeypatch.setattr(calls, "call", lambda *words: pytest.fail("nothing is left to do"))
    assert main(words) == 0
    assert first.endswith(capsys.readouterr().out)


def test_each_recipe_is_trained_and_judged_with_each_seed(commands, tmp_path):
    (tmp_path / "b.yaml").write_text("{}", encoding="utf-8")
    commands.words.insert(1, f"b={tmp_path / 'b.yaml'}")
    assert commands.compare("--seeds", "3", "4") == ["train"] * 4 + ["evaluate"] * 4
    trained = [dict(itertools.pairwise(call)) for call in commands.calls[:4]]
    assert [words["--seed_everything"] for words in trained] == ["3", "3", "4", "4"]
    folders = [Path(words["--logdir"]).parent for words in trained]
    assert folders == [tmp_path / "logs" / name / f"seed_{seed}" for seed in (3, 4) for name in "ab"]
    found = json.loads((tmp_path / "out" / "lr0.001.json").read_text())
    assert {name: list(seeds) for name, seeds in found.items()} == {"a": ["3", "4"], "b": ["3", "4"]}
    rows = (tmp_path / "out" / "lr0.001.md").read_text().splitlines()[2:]
    assert ["0.75 (0.75 to 0.75)" in row for row in rows] == [True, True]


def test_trainings_go_on_with_further_files_from_where_each_ended(commands, tmp_path):
    (tmp_path / "longer.yaml").write_text("model: {gamma: 0.8}", encoding="utf-8")
    then = ["--then", str(tmp_path / "longer.yaml"), "640"]
    assert commands.compare(*then) == ["train", "train", "evaluate"]
    first, second, played = commands.calls
    assert second.count("--config") == first.count("--config") + 1
    words = dict(itertools.pairwise(second))
    assert words["--config"] == str(tmp_path / "longer.yaml")
    assert (words["--timesteps"], words["--seed_everything"]) == ("640", "3")
    assert words["--ckpt_path"] == str(commands.seed / "run" / "checkpoints" / "last.ckpt")
    last = str(commands.seed.with_name("seed_3_then") / "run" / "checkpoints" / "last.ckpt")
    assert (words["--logdir"], played[1]) == (str(Path(last).parents[1]), last)
    assert commands.compare(*then) == []
    assert commands.compare() == ["evaluate"]  # of the first, which is there
    (commands.seed / "run" / "checkpoints" / "last.ckpt").write_text("another")
    with pytest.raises(InputError, match="seed_3_then: holds another training"):
        commands.compare(*then)


def test_trainings_that_go_on_are_drawn_as_one(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    (tmp_path / "longer.yaml").write_text("save_interval: 64", encoding="utf-8")
    words = [f"tiny={tmp_path / 'tiny.yaml'}", "--seeds", "3", "--timesteps", "128", "--games", "2", "--workers", "1"]
    words += ["--then", str(tmp_path / "longer.yaml"), "256", "--opponents", "idle"]
    assert main([*words, "--logs", str(tmp_path / "logs"), "--out", str(tmp_path / "found")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())["tiny"]["3"]
    assert [step for step, _ in found["curves"]["game/goals_per_minute"]] == [64, 128, 192, 256]
    assert {"touches_at_128", "touches_at_256"} <= found.keys()


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
        (["--then", "longer.yaml", "320"], "--then longer.yaml 320: must end after --timesteps 320"),
        (["--then", "longer.yaml", "many"], "--then longer.yaml many: must end after --timesteps 320"),
        (["--seeds", "1", "-1"], "--seeds -1: must be at least 0"),
        (["--opponents", "idel"], "opponent='idel' is none of random, idle"),
        (["--reference", "no.ckpt"], "opponent='no.ckpt' is none of random, idle"),
        (["--opponents", "a/last.ckpt", "b/last.ckpt"], "--opponents b/last.ckpt: would be called last, as a/last.ck"),
        (["--opponents", "x/reference.ckpt", "--reference", "y.ckpt"], "--reference y.ckpt: would be called reference"),
        (["--seeds", "1", "2", "1"], "--seeds 1 2 1: one is there twice"),
        (["--out", "."], "--out .: must name a file"),
        (["--out", str(Path(__file__, "x"))], f"--out {Path(__file__, 'x')}: cannot be written"),
        (["--out", "folder"], "--out folder.svg: is a folder"),
        (["--train", "--config", "no.yaml"], "config=no.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_trained(commands, given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError) as refused:
        commands.compare(*given)
    assert str(refused.value).startswith(message)
    assert commands.calls == []


def test_two_recipes_of_one_name_are_refused_before_anything_is_trained(commands):
    commands.words[1:1] = ["b=x.yaml", "a=y.yaml"]
    with pytest.raises(InputError, match=r"recipe a=y\.yaml: would be called a, as a=.*a\.yaml is; give each its own"):
        commands.compare()
    assert commands.calls == []


def test_full_disk_at_the_end_loses_nothing_and_the_same_command_goes_on(commands, tmp_path, monkeypatch, capsys):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rlbot.compare.command.plot", full)
        with pytest.raises(TryAgainError, match=r"lr0\.001\.svg: cannot be written \(No space left on device\)"):
            commands.compare()
    printed = capsys.readouterr().out
    assert "| a |" in printed
    assert commands.compare() == []
    assert printed.endswith(capsys.readouterr().out)
    assert (tmp_path / "out" / "lr0.001.svg").is_file()


def test_without_matplotlib_nothing_is_trained(commands, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match="the plot needs matplotlib"):
        commands.compare()
    assert commands.calls == []


def test_command_says_what_is_wrong_in_one_line(tmp_path):
    script = str(ROOT / "scripts" / "compare.py")
    command = [sys.executable, script, "a=configs/1v1.yaml", "--parallel", "0", "--out", str(tmp_path / "found")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "[ERROR] --parallel 0: must be at least 1\n")
