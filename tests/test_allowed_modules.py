"""Which modules a YAML may name: nothing else is imported."""

import sys

import pytest
from running import edited, refuses

from rlbot.arguments import arrange
from rlbot.errors import InputError

CANARY = """
from pathlib import Path
import lightning as L
Path(__file__).with_name("sung").touch()
class C(L.Callback): pass
"""


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A module beside the user that leaves a trace when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    for name in ("canary.py", "hubconf.py"):
        (tmp_path / name).write_text(CANARY)
    return tmp_path / "sung"


def test_allowed_modules_are_taken_out_of_the_arguments():
    words, allowed = arrange(["--allow", "mine", "--allow=my.own"])
    assert (words, allowed) == (arrange([])[0], ["mine", "my.own"])


@pytest.mark.parametrize("words", [["--allow"], ["--allow="], ["--allow", "--debug"], ["--allow", "a;b"]])
def test_allow_needs_the_name_of_a_module(words):
    with pytest.raises(InputError, match="name of a module"):
        arrange(words)


@pytest.mark.parametrize(
    "text",
    [
        "trainer: {callbacks: [{class_path: canary.C}]}",
        "trainer: {callbacks: [{class_path: rlbot.launch.importlib.import_module, init_args: {name: canary}}]}",
        "trainer: {strategy: {class_path: canary.C}}",
        "data: {rewards: [{class_path: canary.C}]}",
        "data: {env: {class_path: canary.C}}",
        "data: {env: canary.C}",
        "data: {env: {class_path: importlib.import_module, init_args: {name: canary}}}",
        "data: {env: {class_path: rlbot.launch.importlib.import_module, init_args: {name: canary}}}",
        "data: {env: {class_path: gymnasium.make_vec, init_args: {id: 'canary:Bird-v0'}}}",
        "data: {env: {class_path: stable_baselines3.common.env_util.make_vec_env, init_args: {env_id: 'canary:B-v0'}}}",
        "data: {env: {class_path: rlbot.launch.run, init_args: {target: 'canary:sing', arguments: []}}}",
        "data: {env: {class_path: torch.utils.collect_env.run, init_args: {command: touch sung}}}",
        "data: {env: {class_path: torch.hub.load, init_args: {repo_or_dir: ., model: C, source: local}}}",
        "model: {head: canary.C}",
        "{allow: canary, trainer: {callbacks: [canary.C]}}",
    ],
)
def test_module_outside_the_allowed_ones_is_not_imported(fit, tmp_path, canary, text):
    refuses(fit(tmp_path, edited(tmp_path, text)))
    assert not canary.exists()


def test_module_that_begins_like_an_allowed_one_is_not_imported(fit, tmp_path, canary):
    canary.with_name("canary.py").rename(tmp_path / "rlbot_canary.py")
    refuses(fit(tmp_path, edited(tmp_path, "trainer: {callbacks: [rlbot_canary.C]}")), "rlbot_canary")
    assert not canary.exists()


def test_module_allowed_on_the_command_line_is_imported(fit, tmp_path, canary):
    run = fit(tmp_path, edited(tmp_path, "trainer: {callbacks: [canary.C]}"), "--allow", "canary", "--timesteps=64")
    assert (run.code, canary.exists()) == (0, True)
