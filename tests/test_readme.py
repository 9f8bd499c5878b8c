"""What README.md tells people to type or write works as it stands."""

import re

import pytest

from rlbot.__main__ import ROOT
from rlbot.game import rewards, saved_starts, situations, starts

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(kind: str, containing: str) -> str:
    """The code block of this kind that contains these words."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", README, flags=re.DOTALL)
    return next(text for text in blocks if containing in text)


def test_own_reward_of_the_readme_trains_and_is_logged(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_rewards.py").write_text(block("python", "class HighTouch"), encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(block("yaml", "my_rewards"), encoding="utf-8")
    run = fit(tmp_path, "--config=mine.yaml", "--allow", "my_rewards")
    assert run.code == 0
    assert [step for step, _ in run.scalars()["reward/high_touch"]] == [64, 128]


@pytest.mark.parametrize(
    ("base", "module"),
    [(rewards.Reward, rewards), (starts.Start, starts), (starts.Start, situations), (starts.Start, saved_starts)],
)
def test_readme_names_every_term_and_every_opening_position(base, module):
    made = {name for name, part in vars(module).items() if isinstance(part, type) and issubclass(part, base)}
    assert [name for name in made - {base.__name__} if f"`{name}`" not in README] == []


def test_opening_positions_of_the_readme_train(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(block("python", "save_starts("), {})
    (tmp_path / "mine.yaml").write_text(block("yaml", "SavedStart"), encoding="utf-8")
    assert fit(tmp_path, "--config=mine.yaml").code == 0


def test_guests_of_the_readme_play(fit, tmp_path):
    (tmp_path / "mine.yaml").write_text(block("yaml", "guests:"), encoding="utf-8")
    short = "--data.endings=[{class_path: rlbot.game.endings.Clock, init_args: {seconds: 0.2}}]"
    run = fit(tmp_path, f"--config={tmp_path / 'mine.yaml'}", "--data.num_envs=20", "--timesteps=640", short)
    assert run.code == 0
    assert {"chaser", "goalie"} <= run.load()["callbacks"]["Curriculum"]["pool"]["results"].keys()


def test_own_callback_of_the_readme_runs(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = block("python", "class Cheer").replace("goals > 20", "goals > -1")
    (tmp_path / "my_callbacks.py").write_text(source, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("trainer: {callbacks: [{class_path: my_callbacks.Cheer}]}", encoding="utf-8")
    run = fit(tmp_path, "--config=mine.yaml", "--allow", "my_callbacks")
    assert run.out.count("minutes of game!") == 2  # once an iteration


def test_environments_of_the_readme_can_be_made():
    made: dict[str, object] = {}
    exec(block("python", "gymnasium.make("), made)
    assert (made["env"].action_space.shape, made["envs"].num_envs) == ((8,), 16)


def test_tree_names_every_source_file():
    tree = block("text", "the package")
    assert [file.name for file in sorted((ROOT / "rlbot").rglob("[a-z]*.py")) if f" {file.name} " not in tree] == []
    others = [file.stem for folder in ("callbacks", "scripts") for file in sorted((ROOT / folder).glob("[a-z]*.py"))]
    assert [name for name in others if name.replace("_", " ") not in tree[tree.index("\ncallbacks/") :]] == []


def test_settings_named_in_the_readme_are_in_base_yaml():
    base = (ROOT / "configs" / "base.yaml").read_text(encoding="utf-8")
    table = README.split("| setting | default | meaning |")[1].split("\n\n")[0]
    keys = re.findall(r"`([a-z_.]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:] if "|" in row))
    assert [key for key in keys if f"{key.split('.')[-1]}:" not in base] == []
    assert len(keys) > 10
