"""The evaluate command: its JSON and its table by hand, its ledger, and one line for what cannot be."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rlbot.errors import InputError, TryAgainError
from rlbot.league.ratings import Ledger, Result
from rlbot.play import command
from rlbot.play.command import main
from rlbot.play.evaluation import Pairing
from rlbot.play.matches import MatchResult
from rlbot.play.report import summary, table

KEYS = (
    "mode games wins losses draws goals_for goals_against "
    "win_rate win_rate_low win_rate_high touches_per_minute a b seed"
)
PLAYED = [  # a win, a win in overtime, a defeat and a draw
    MatchResult(3, 1, 40, 300.0, False, True),
    MatchResult(1, 0, 20, 330.0, True, False),
    MatchResult(0, 2, 10, 300.0, False, True),
    MatchResult(1, 1, 50, 600.0, True, False),
]


@pytest.mark.parametrize(("mode", "cars"), [("1v1", 1), ("1v2", 1), ("2v2", 2)])
def test_summary_counts_matches_goals_and_touches_a_car(mode, cars):
    found = summary(Pairing("x", "y", mode, 7), PLAYED)
    assert list(found) == KEYS.split()
    assert [found[key] for key in KEYS.split()[:8]] == [mode, 4, 2, 1, 1, 5, 4, 2.5 / 4]
    assert found["touches_per_minute"] == pytest.approx(120 / 25.5 / cars)
    assert 0.2 < found["win_rate_low"] < 0.625 < found["win_rate_high"] < 0.95
    assert [found[key] for key in ("a", "b", "seed")] == ["x", "y", 7]


def test_table_gives_people_the_same_with_intervals():
    lines = table(Pairing("x", "y", "1v1", 7), PLAYED).splitlines()
    assert lines[2] == "1v1, 4 matches (2 with A blue), 2 won, 1 lost, 1 drawn, 2 with overtime"
    assert lines[4].split()[:7] == ["win", "rate,", "draws", "as", "half,", "%", "62.50"]
    for line in lines[4:]:
        value, low, _, high = line[28:].split()
        assert float(low) < float(value) < float(high)
    assert [line[:28].strip() for line in lines[5:]] == [
        "goals a match",
        "goals conceded a match",
        "share of the goals, %",
        "touches a minute a car",
    ]
    assert [float(line[28:36]) for line in lines[5:]] == [1.25, 1.0, 55.56, 4.71]
    assert "-" in table(Pairing("x", "y", "1v1", 7), [MatchResult(0, 0, 0, 600.0, True, True)] * 2).splitlines()[7]


def test_command_writes_json_and_ledger_and_prints_ratings(tmp_path, capsys):
    files = ["--json", str(tmp_path / "out.json"), "--ledger", str(tmp_path / "results.jsonl")]
    assert main(["chaser", "random", "--games", "2", "--workers", "1", "--seed", "4", *files]) == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert " ".join(found) == KEYS
    assert (found["mode"], found["games"], found["a"], found["b"], found["seed"]) == ("1v1", 2, "chaser", "random", 4)
    assert Ledger(tmp_path / "results.jsonl").read() == [Result.of(found)]
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.startswith("[OK] 2 of 2 matches")
    assert [line.split()[-1] for line in out.splitlines()[-2:]] in (["chaser", "random"], ["random", "chaser"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["idle"], "the following arguments are required: B"),
        (["idle", "idle", "--games", "many"], "argument --games: invalid int value: 'many'"),
        (["idle", "idle", "--json", "missing/out.json"], r"--json missing.out.json: the folder missing does not exist"),
        (["idle", "idle", "--ledger", "a.txt/l.jsonl"], r"--ledger a.txt.l.jsonl: the folder a.txt does not exist"),
        (["idle", "idle", "--ledger", "."], r"--ledger \.: is a folder"),
        (["idle", "idle", "--json", "locked"], r"--json locked: cannot be written"),
        (["idle", "idle", "--ledger", "locked"], r"--ledger locked: cannot be written"),
        (["idle", "idle", "--json", "./new", "--ledger", "new"], r"--json and --ledger are the same file, new"),
        (["idle", "idle", "--json", "ratings.jsonl"], r"--json ratings.jsonl: holds something else than"),
        (["idle", "idle", "--json", "a.txt"], r"--json a.txt: holds something else than"),
        (["idle", "idle", "--json", "deep"], r"--json deep: holds something else than"),
        (["idle", "idle", "--ledger", "a.txt"], r"ledger=a.txt: is no ledger"),
        (["idle", "idle", "--ledger", "out.json"], r"ledger=out.json: is no ledger"),
        (["idle", "missing.ckpt"], "opponent='missing.ckpt' is none of random"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_played(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Ledger(Path("ratings.jsonl")).add(Result("1v1", "x", "y", 1, 2, 3))
    Path("out.json").write_text(json.dumps(summary(Pairing("x", "y", "1v1", 7), PLAYED), indent=2))
    Path("a.txt").write_text("no ledger")
    Path("deep").write_text("[" * 100_000)
    Path("locked").touch()
    access = os.access  # nothing is locked for root
    monkeypatch.setattr(os, "access", lambda path, mode: path != Path("locked") and access(path, mode))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(InputError, match=message):
        main(arguments)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="needs fifos")
def test_fifo_as_ledger_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for file in (tmp_path / "fifo", os.devnull):
        with pytest.raises(InputError, match="is a pipe or a device and no file"):
            main(["idle", "idle", "--ledger", str(file)])


@pytest.fixture
def played(monkeypatch):
    """The command gets the four results at once."""
    monkeypatch.setattr(command, "evaluate", lambda *_: PLAYED)


def test_own_json_is_written_over_and_the_ledger_grows(played, tmp_path):
    files = ["--json", str(tmp_path / "out.json"), "--ledger", str(tmp_path / "results.jsonl")]
    for seed in (1, 2):
        assert main(["x", "y", "--seed", str(seed), *files]) == 0
        assert json.loads((tmp_path / "out.json").read_text())["seed"] == seed
        assert len(Ledger(tmp_path / "results.jsonl").read()) == seed


@pytest.mark.parametrize("broken", ["json", "ledger", "ledger json"])
def test_files_that_fail_after_the_matches_lose_nothing(broken, tmp_path, monkeypatch, capsys):
    files = {option: tmp_path / option for option in ("ledger", "json")}

    def evaluate(*_):
        for option in broken.split():  # now it cannot be written
            files[option].mkdir()
        return PLAYED

    monkeypatch.setattr(command, "evaluate", evaluate)
    with pytest.raises(TryAgainError) as stopped:
        main(["x", "y", *(f"--{option}={file}" for option, file in files.items())])
    assert re.findall(r"--(\w+) ", str(stopped.value)) == broken.split()
    assert str(stopped.value).endswith("; the table above has the result")
    out = capsys.readouterr().out
    assert "4 matches (2 with A blue), 2 won, 1 lost, 1 drawn" in out
    assert ("rating in 1v1" in out) == ("ledger" not in broken)
    assert [option for option in files if not files[option].is_file()] == broken.split()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(130)])
def test_ctrl_c_says_how_far_it_came_and_writes_nothing(stop, tmp_path, monkeypatch, capsys):
    def evaluate(pairing, games, workers, progress):
        progress(50)
        raise stop

    monkeypatch.setattr(command, "evaluate", evaluate)
    with pytest.raises(type(stop)):
        main(["x", "y", "--json", str(tmp_path / "out.json"), "--ledger", str(tmp_path / "results.jsonl")])
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "[OK] Stopped: nothing was written (50 of 200 matches were done)"
    assert not list(tmp_path.iterdir())


def test_ratings_say_what_they_are_relative_to(played, tmp_path, capsys):
    ledger = ["--ledger", str(tmp_path / "results.jsonl")]
    main(["x", "x", *ledger])  # says nothing about skill
    assert "rating" not in capsys.readouterr().out
    main(["x", "y", *ledger])
    assert "\nrating in 1v1, mean of all = 0         95 % interval\n" in capsys.readouterr().out
    main(["x", "random", *ledger])
    out = capsys.readouterr().out
    assert "\nrating in 1v1, random = 0              95 % interval\n" in out
    assert "                                 0.0   0.0 to 0.0   random\n" in out


def test_wrong_name_ends_the_rlbot_command_with_one_line_and_exit_code_2(tmp_path):
    words = [sys.executable, "-m", "rlbot", "evaluate", "idle", "nobody"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("[ERROR] opponent='nobody' is none of random, idle, chaser, goalie")


def test_every_word_reaches_the_matches_and_ratings_go_by_the_whole_ledger(monkeypatch, tmp_path, capsys):
    asked = []

    def evaluate(pairing, games, workers, progress):
        asked.append((pairing, games, workers))
        return PLAYED[:2]

    monkeypatch.setattr(command, "evaluate", evaluate)
    ledger = tmp_path / "results.jsonl"
    Ledger(ledger).add(Result("1v2", "y", "random", 0, 9, 0))
    words = ["x", "y", "--mode", "1v2", "--games", "6", "--workers", "3", "--seed", "5", "--deterministic"]
    assert main([*words, "--ledger", str(ledger)]) == 0
    assert asked == [(Pairing("x", "y", "1v2", 5, True), 6, 3)]
    rows = [line.split() for line in capsys.readouterr().out.split("95 % interval\n")[-1].splitlines()]
    means, lows, highs = ([float(row[k]) for row in rows] for k in (0, 1, 3))
    assert means == sorted(means, reverse=True)
    assert all(low <= mean <= high for low, mean, high in zip(lows, means, highs, strict=True))
    assert {row[4] for row in rows} >= {"x", "y", "random"}
