"""The export command: a folder that stands by itself, proves itself, and costs nobody anything."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from rlbot.errors import InputError, TryAgainError
from rlbot.league.opponents import find
from rlbot.play import export
from rlbot.play.bot import bot
from rlbot.play.export import main
from rlbot.play.matches import play_matches

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(scope="module")
def exported(some_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bots") / "my_bot"
    assert main([str(some_checkpoint), "--out", str(folder), "--name", 'Zo\u00eb "the\\wall"']) == 0
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    """A copy to spoil."""
    for file in exported.rglob("*.*"):
        (target := tmp_path / file.relative_to(exported)).parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    return tmp_path


def selftest(folder):
    return subprocess.run([sys.executable, "bot.py", "--selftest"], cwd=folder, capture_output=True, text=True)


def test_settings_are_what_rlbot_reads(exported):
    settings = tomllib.loads((exported / "bot.toml").read_text(encoding="utf-8"))["settings"]
    assert settings["name"] == 'Zo\u00eb "the\\wall"'
    assert re.fullmatch("rlbot-lightning/zo\u00eb_the_wall_[0-9a-f]{8}", settings["agent_id"])
    assert bot.NumpyPolicy.load(exported).facts["agent_id"] == settings["agent_id"]
    assert (exported / settings["loadout_file"]).is_file()
    assert settings["run_command"].endswith(" bot.py")
    assert f"{sys.executable} bot.py" in settings.values()
    looks = tomllib.loads((exported / "loadout.toml").read_text(encoding="utf-8"))
    assert {team: look["car_id"] for team, look in looks.items()} == {"blue_loadout": 23, "orange_loadout": 23}


@pytest.mark.parametrize(
    ("system", "program", "command"),
    [
        ("nt", r"C:\bots\.venv\Scripts\python.exe", r"C:\bots\.venv\Scripts\python.exe"),
        ("nt", r"C:\Program Files (x86)\py.exe", r'call "C:\Program Files (x86)\py.exe"'),
        ("posix", "/home/zoe/.venv/bin/python", "/home/zoe/.venv/bin/python"),
        ("posix", "/home/zoe/my bots/python", "'/home/zoe/my bots/python'"),  # within RLBot's own double quotes
    ],
)
def test_program_is_written_as_the_shell_understands_it(system, program, command, monkeypatch):
    monkeypatch.setattr(export.os, "name", system)
    assert export._in_shell(program) == command


def test_nothing_in_the_folder_imports_this_trainer(exported):
    texts = [file.read_text(encoding="utf-8") for file in exported.rglob("*.py")]
    imported = {word for text in texts for word in re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE)}
    assert imported - sys.stdlib_module_names == {"parts", "numpy", "rlbot_flatbuffers"}


def test_bot_picks_the_checkpoints_action_in_a_thousand_states(exported):
    with np.load(exported / bot.STATES) as states:
        assert states["noise"].size == 1000
        assert len(np.unique(states["controls"].reshape(-1, 8), axis=0)) > 10
        assert len(np.unique(states["observations"].reshape(-1, 180), axis=0)) > 900
    done = selftest(exported)
    assert (done.returncode, done.stderr) == (0, "")


def test_slow_bot_too_has_a_thousand_different_states(some_checkpoint, tmp_path, capsys):
    content = torch.load(some_checkpoint, weights_only=True)
    torch.save({**content, "architecture": {**content["architecture"], "step_seconds": 0.25}}, tmp_path / "slow.ckpt")
    assert main([str(tmp_path / "slow.ckpt"), "--out", str(tmp_path / "bot")]) == 0
    assert "tested on 1,000 states" in capsys.readouterr().out
    with np.load(tmp_path / "bot" / bot.STATES) as states:
        assert len(np.unique(states["observations"].reshape(-1, 180), axis=0)) > 900


def change_weights(folder):
    with np.load(folder / "policy.npz") as content:
        arrays = {key: content[key] for key in content.files}
    arrays["weight_1"] = arrays["weight_1"][::-1]
    np.savez(folder / "policy.npz", **arrays)


def change_code(folder, file, old, new):
    text = (folder / "parts" / file).read_text(encoding="utf-8")
    assert old in text
    (folder / "parts" / file).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change_weights, r"it decides otherwise in \d+ of 1000 recorded states; export it again"),
        (lambda f: change_code(f, "observations.py", "cars.boost * np.float32(0.01)", "cars.boost"), "it sees other"),
        (lambda f: change_code(f, "actions.py", "product((-1, 0, 1), (-1", "product((0, -1, 1), (-1"), "the table of"),
        (lambda f: (f / "states.npz").write_bytes(b""), "states.npz: cannot be read"),
        (lambda f: (f / "policy.npz").unlink(), "policy.npz: cannot be read as an exported policy"),
        (lambda f: (f / "parts" / "driver.py").unlink(), "No module named 'parts.driver': export it again"),
    ],
)
def test_bot_that_is_no_longer_the_one_that_was_exported_refuses_to_play(copied, spoil, message):
    spoil(copied)
    done = selftest(copied)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("[ERROR] ")
    assert re.search(message, done.stderr)


@pytest.mark.parametrize("module", ["numpy", "rlbot_flatbuffers"])
def test_bot_without_what_it_needs_says_how_to_get_it(exported, module):
    code = f"import sys, runpy; sys.modules['{module}'] = None; runpy.run_path('bot.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "python -m pip install -r requirements.txt" in done.stderr
    assert bot.main(["--help"]) == 2


def test_exporting_again_leaves_what_a_person_changed(some_checkpoint, copied, capsys):
    (copied / "loadout.toml").write_text("[blue_loadout]\ncar_id = 24\n")
    (copied / "bot.py").write_text("old")
    assert main([str(some_checkpoint), "--out", str(copied)]) == 0
    assert (copied / "loadout.toml").read_text() == "[blue_loadout]\ncar_id = 24\n"
    assert (copied / "bot.py").read_text(encoding="utf-8") != "old"
    assert "[OK] Kept as they were: bot.toml, loadout.toml" in capsys.readouterr().out
    kept = tomllib.loads((copied / "bot.toml").read_text(encoding="utf-8"))["settings"]
    assert bot.NumpyPolicy.load(copied).facts["agent_id"] == kept["agent_id"]


def test_name_that_is_given_is_taken_and_another_python_is_told(some_checkpoint, copied, capsys, monkeypatch):
    monkeypatch.setattr(export, "_command", lambda: "elsewhere/python bot.py")
    assert main([str(some_checkpoint), "--out", str(copied)]) == 0
    assert "[WARN] bot.toml starts the bot with another Python" in capsys.readouterr().out
    assert main([str(some_checkpoint), "--out", str(copied), "--name", "Other"]) == 0
    said = capsys.readouterr().out
    settings = tomllib.loads((copied / "bot.toml").read_text(encoding="utf-8"))["settings"]
    assert ("[WARN]" in said, "Kept as they were: loadout.toml" in said, settings["name"]) == (False, True, "Other")
    assert "elsewhere/python bot.py" in settings.values()


def test_bots_of_one_name_are_told_apart(some_checkpoint):
    policies = [export.numpy_policy(some_checkpoint, deterministic) for deterministic in (False, True, False)]
    prints = [export._fingerprint(policy) for policy in policies]
    assert (prints[0] == prints[2], prints[0] == prints[1]) == (True, False)


def test_exported_bot_is_an_opponent_that_plays_the_checkpoints_match(some_checkpoint, exported):
    matches = []
    for name in (exported, some_checkpoint):
        states = []
        lengths = {"regular_seconds": 10, "overtime_seconds": 0}
        play_matches(find(str(name)), find("chaser"), "1v1", 5, [0], **lengths, show=states.append)
        matches.append(np.concatenate([state.cars.position for state in states]))
    assert np.array_equal(*matches)
    assert np.ptp(matches[0][:, 0], axis=0).max() > 500  # it drove


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: CHECKPOINT"),
        (["policy.ckpt", "--name", "a\nb"], "--name 'a.nb': holds what cannot be printed"),
        (["missing.ckpt"], "^missing.ckpt: there is no such file"),
        (["text.ckpt"], "^text.ckpt: the file cannot be read as a checkpoint"),
        (["policy.ckpt", "--out", "school"], "--out school: holds something else than a bot of this command"),
        (["policy.ckpt", "--out", "text.ckpt"], "--out text.ckpt: is no folder"),
        (["policy.ckpt", "--out", "text.ckpt/bot"], "--out text.ckpt.bot: cannot be written"),
        (["other.ckpt"], "its policy sees 3 numbers"),
        (["slow.ckpt"], "it decides every 240 ticks, and a bot at least every 120"),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_lost(arguments, message, some_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = torch.load(some_checkpoint, weights_only=True)
    torch.save(content, "policy.ckpt")
    torch.save({**content, "architecture": {**content["architecture"], "step_seconds": 2.0}}, "slow.ckpt")
    small = export.ActorCritic(3, export.TableHead(), (4,), True)
    weights = {f"policy.{key}": value for key, value in small.state_dict().items()}
    made = {"observation_size": 3, "hidden_sizes": [4], "symmetry": None, "close_up": False}
    torch.save({"architecture": {**content["architecture"], **made}, "state_dict": weights}, "other.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    (tmp_path / "school").mkdir()
    (tmp_path / "school" / "homework.txt").write_text("mine")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    with pytest.raises(InputError, match=message):
        main(arguments)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before


def test_full_disk_is_worth_trying_again(some_checkpoint, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_whole", full)
    with pytest.raises(TryAgainError, match=r"not written \(No space left on device\)"):
        main([str(some_checkpoint), "--out", str(tmp_path / "bot")])
