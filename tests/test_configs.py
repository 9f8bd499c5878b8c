"""Every shipped configuration: its first line is a command that works, and its settings are those that it documents."""

import inspect
import shlex

import pytest
import yaml

from callbacks import Evaluation, RewardLedger, TimestepCheckpoint
from rlbot.__main__ import ROOT
from rlbot.game.endings import default_endings
from rlbot.game.rewards import default_rewards
from rlbot.game.starts import default_starts
from rlbot.league.past_selves import PoolSettings
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
SMALL = ("--timesteps=16", "--data.batch_size=16", "--data.minibatch_size=16", "--data.epochs=1", "--data.num_envs=4")


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_command_in_the_first_line_trains(fit, tmp_path, monkeypatch, file):
    first = file.read_text(encoding="utf-8").splitlines()[0]
    prefix, command = first[:2], first[2:]
    words = shlex.split(command)
    assert (prefix, words[:2]) == ("# ", ["python", "scripts/train.py"])
    assert f"configs/{file.name}" in words or (file.name, words[-1]) == ("debug.yaml", "--debug")
    monkeypatch.chdir(ROOT)
    small = (f"--logdir={tmp_path / 'run'}", *SMALL)
    if "--ckpt_path" in words:  # it goes on with a run of the files before it
        before = words[2 : words.index(f"configs/{file.name}") - 1]
        assert fit(tmp_path, *before, *small, "--timesteps=8").code == 0
    run = fit(tmp_path, *words[2:], *small)
    assert (run.code, run.err) == (0, "")
    assert run.load()["metadata"]["timesteps"] == 16


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_second_line_tells_what_it_is_for(file):
    assert file.read_text(encoding="utf-8").splitlines()[1].startswith("# ")


def test_every_setting_of_base_yaml_is_explained():
    lines = (ROOT / "configs" / "base.yaml").read_text(encoding="utf-8").splitlines()[2:]
    settings = [line for line in lines if line and not line.startswith("    ") and not line.endswith(":")]
    assert [line for line in settings if " # " not in line and not line.lstrip().startswith("-")] == []


def test_reference_run_is_the_promised_one():
    base = yaml.safe_load((ROOT / "configs" / "base.yaml").read_text(encoding="utf-8"))
    assert base["logdir"] == "logs/latest_run"
    assert base["checkpoint"]["interval"] == 250_000
    assert [stage["mode"] for stage in base["curriculum"]["stages"]] == ["1v1", "1v2", "2v2"]
    assert [stage["from_timesteps"] for stage in base["curriculum"]["stages"]] == [0, 2_000_000, 3_500_000]


def test_base_yaml_and_the_code_have_the_same_defaults():
    base = yaml.safe_load((ROOT / "configs" / "base.yaml").read_text(encoding="utf-8"))
    assert PoolSettings(**base["curriculum"]["pool"]) == PoolSettings()
    # In code there may be another environment.
    of_rocket_league = ("rewards", "endings", "starts", "symmetry", "close_up", "anneal_timesteps")
    classes = {"model": PPO, "data": RolloutDataModule, "checkpoint": TimestepCheckpoint, "evaluation": Evaluation}
    for section, cls in (classes | {"reward_ledger": RewardLedger}).items():
        defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
        for name, value in base[section].items():
            if name not in of_rocket_league:
                assert (name, value) == (name, list(d) if isinstance(d := defaults[name], tuple) else d)
    for section, made in (("rewards", default_rewards()), ("endings", default_endings()), ("starts", default_starts())):
        written = [(part["class_path"], part.get("init_args", {})) for part in base["data"][section]]
        shown = [(f"{type(part).__module__}.{type(part).__name__}", vars(part)) for part in made]
        assert [path for path, _ in written] == [path for path, _ in shown]
        assert all(given.items() <= held.items() for (_, given), (_, held) in zip(written, shown, strict=True))
