"""The watch command: a page with the match in it, opened or not, and one line for what cannot be."""

import os
import sys
from functools import partial

import pytest

from rlbot.errors import InputError, TryAgainError
from rlbot.league.opponents import Chaser, Idle
from rlbot.play import watch
from rlbot.play.matches import play_matches
from rlbot.play.replay import is_page
from rlbot.play.watch import main


@pytest.fixture(autouse=True)
def opened(monkeypatch, tmp_path):
    """Addresses that a browser was asked for; matches take three seconds."""
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(watch.webbrowser, "open", lambda address: asked.append(address) or len(asked) < 2)
    monkeypatch.setattr(watch, "play_matches", partial(play_matches, regular_seconds=3, overtime_seconds=2))
    return asked


def test_match_is_played_written_and_opened(opened, tmp_path, capsys):
    assert main(["chaser", "idle", "--seed", "3"]) == 0
    assert is_page((tmp_path / "match.html").read_bytes())
    assert opened == [(tmp_path / "match.html").resolve().as_uri()]
    said = capsys.readouterr().out.splitlines()
    (result,) = watch.play_matches(Chaser(), Idle(), "1v1", 3, [0])
    assert said[0].startswith("[START] chaser (blue) against idle (orange), 1v1")
    assert said[1] == f"[OK] {result.goals_for} : {result.goals_against} after 0:{round(result.seconds):02}"
    assert said[2].startswith("[OK] match.html (0.")
    main(["chaser", "idle", "--seed", "3"])  # its own page is written over, and no browser can be started
    assert "[WARN] No browser could be started: open" in capsys.readouterr().out


@pytest.mark.parametrize("trouble", [OSError("no"), ValueError("quotes"), watch.webbrowser.Error("none")])
def test_browser_that_fails_costs_a_warning(trouble, monkeypatch, capsys):
    def fail(address):
        raise trouble

    monkeypatch.setattr(watch.webbrowser, "open", fail)
    assert main(["idle"]) == 0
    assert "[WARN] No browser could be started: open" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_browser_in_the_terminal_is_not_started(opened, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert main(["idle"]) == 0
    assert opened == []


def test_no_open_opens_nothing(opened, tmp_path):
    assert main(["idle", "--mode", "2v2", "--out", str(tmp_path / "a page.html"), "--no-open"]) == 0
    text = (tmp_path / "a page.html").read_text(encoding="utf-8")
    assert opened == []
    assert '"names":["idle","idle"],"mode":"2v2"' in text


def test_same_seed_gives_the_same_page_and_another_seed_another(tmp_path):
    pages = []
    for seed in (1, 1, 2):
        main(["random", "chaser", "--seed", str(seed), "--no-open"])
        pages.append((tmp_path / "match.html").read_bytes())
    assert (pages[0] == pages[1], pages[0] == pages[2]) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: A"),
        (["nobody"], "opponent='nobody' is none of random"),
        (["idle", "nobody"], "opponent='nobody' is none of random"),
        (["idle", ""], "opponent='' is none of random"),
        (["x" * 300], "opponent='x+' is none of random"),
        (["idle", "--mode", "4v4"], "mode=4v4: must be one of 1v1"),
        (["idle", "--seed", "-1"], "seed=-1: must be at least 0"),
        (["idle", "--out", "missing/a.html"], "--out missing.a.html: the folder missing does not exist"),
        (["idle", "--out", "."], r"--out \.: is a folder"),
        (["idle", "--out", os.devnull], "is a pipe or a device and no file"),
        (["idle", "--out", "homework.html"], "--out homework.html: holds something else than a page of this command"),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_played_or_lost(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "play_matches", None)
    (tmp_path / "homework.html").write_text("<html>mine</html>")
    with pytest.raises(InputError, match=message):
        main(arguments)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("homework.html", "<html>mine</html>")]
    assert capsys.readouterr().out == ""


def test_page_that_cannot_be_written_is_worth_trying_again(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch, "write_whole", full)
    with pytest.raises(TryAgainError, match=r"--out match.html not written \(No space left on device\)"):
        main(["idle", "--no-open"])
    assert not list(tmp_path.iterdir())
