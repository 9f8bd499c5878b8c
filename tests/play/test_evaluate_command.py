"""The evaluate command: its JSON and its table by hand, its ledger, and one line for what cannot be."""

import json
import subprocess
import sys

import pytest

from rlbot.errors import InputError
from rlbot.league.ratings import Ledger, Result
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
        (["idle", "idle", "--json", "missing/out.json"], r"--json missing.out.json: cannot be written"),
        (["idle", "idle", "--ledger", "."], r"--ledger \.: cannot be written"),
        (["idle", "missing.ckpt"], "opponent='missing.ckpt' is none of random"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_played(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main(arguments)


def test_wrong_name_ends_the_rlbot_command_with_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "rlbot", "evaluate", "idle", "nobody"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("[ERROR] opponent='nobody' is none of random, idle, chaser, goalie")
