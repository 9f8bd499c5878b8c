"""The train command as a person runs it: what it leaves behind, what it prints, and where it may run."""

import json
import os

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlbot.__main__ import ROOT

README_REWARD = """
import numpy as np
from rlbot.game.rewards import Reward
from rlbot.sim.state import CEILING_Z, GameState


class HighTouch(Reward):
    def __call__(self, state: GameState) -> np.ndarray:  # (arenas, cars)
        return state.cars.touched * state.ball.position[:, None, 2] / CEILING_Z + 1
"""
README_CALLBACK = """
import lightning as L


class Cheer(L.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        goals, minutes = trainer.datamodule.iteration.statistics["game/goals_per_minute"]
        trainer.print(f"[OK] {goals:.0f} goals in {minutes:.2f} minutes of game!")
"""


@pytest.fixture(scope="module")
def debug(train, tmp_path_factory):
    """``--debug`` on the base configuration, in a process of its own."""
    return train(tmp_path_factory.mktemp("debug"), "--config", str(ROOT / "configs" / "base.yaml"), "--debug")


def test_debug_leaves_checkpoint_events_and_configuration(debug):
    assert (debug.code, debug.err) == (0, "")
    assert {file.name.split(".")[0] for file in debug.logdir.iterdir()} >= {"checkpoints", "events", "config"}
    assert debug.numbered == [200, 400, 600, 800, 1000]
    assert debug.load()["metadata"]["timesteps"] == 1000


def test_debug_goes_through_all_stages(debug):
    stages = [debug.load(f"timesteps_{n:012d}.ckpt")["metadata"]["stage"] for n in debug.numbered]
    assert stages == ["1v1", "1v2", "1v2", "2v2", "2v2"]


def test_output_is_ascii_and_tells_what_happens(debug):
    assert debug.out.isascii()
    assert debug.out.startswith("[START] Training\n[OK] RocketSimVectorEnv with 4 environments created (8 agents)\n")
    assert debug.out.endswith("[OK] Checkpoint saved at 1000 timesteps\n")


def test_configuration_is_stored_beside_the_run_and_in_the_checkpoint(debug):
    written = yaml.safe_load((debug.logdir / "config.yaml").read_text(encoding="utf-8"))
    kept = yaml.safe_load(debug.load()["metadata"]["config"])
    for settings in (written, kept):
        assert (settings["total_timesteps"], settings["data"]["batch_size"]) == (1000, 200)


def test_every_tensorboard_point_stands_at_its_timesteps(debug):
    for tag, points in debug.scalars().items():
        steps = [step for step, _ in points]
        assert steps == sorted(set(steps)), tag
        assert set(steps) <= {200, 400, 600, 800, 1000}, tag
    assert [step for step, _ in debug.scalars()["ppo/kl"]] == [200, 400, 600, 800, 1000]


def test_dashboards_find_their_tags(debug):
    assert set(debug.scalars()) >= {
        "game/touches_per_minute", "game/goals_per_minute", "reward/goal", "reward/touch", "ppo/entropy", "ppo/kl",
        "ppo/clip_fraction", "ppo/explained_variance", "speed/timesteps_per_second", "speed/collect", "speed/learn",
        "curriculum/stage", "evaluation/chaser/win_rate", "evaluation/rating",
    }  # fmt: skip


def test_configuration_is_in_tensorboard_as_text(debug):
    events = EventAccumulator(str(debug.logdir)).Reload()
    (event,) = events.Tensors("configuration/text_summary")
    assert "num_envs: 4" in event.tensor_proto.string_val[0].decode()


def test_checkpoint_holds_tensors_and_plain_values_only(debug):
    kinds = set()

    def collect(value):
        kinds.add(type(value))
        if isinstance(value, dict):
            kinds.update(map(type, value))
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []:
            collect(part)

    checkpoint = debug.load()
    checkpoint["state_dict"] = dict(checkpoint["state_dict"])
    collect(checkpoint)
    assert kinds <= {dict, list, tuple, str, int, float, bool, type(None), torch.Tensor}


def test_same_command_with_fit_written_out_in_this_process(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = fit(tmp_path, "--debug", "--timesteps=400")
    assert (run.code, run.numbered) == (0, [200, 400])


def test_options_of_the_command_are_heeded(fit, tmp_path):
    folder = tmp_path / "elsewhere" / "my_run"
    run = fit(tmp_path, "--timesteps", "64", "--device", "cpu", "--logdir", str(folder), "--seed_everything", "7")
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert run.code == 0
    assert (settings["total_timesteps"], settings["device"], settings["seed_everything"]) == (64, "cpu", 7)
    assert (folder / "checkpoints" / "last.ckpt").is_file()


def test_new_run_moves_the_earlier_one_aside(fit, tmp_path):
    kept = fit(tmp_path).load()
    run = fit(tmp_path)
    (moved,) = tmp_path.glob("run_2*")
    again = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)
    assert f"[OK] The run that was in {tmp_path / 'run'} is now in {moved}\n" in run.out
    assert all(torch.equal(kept["state_dict"][name], again["state_dict"][name]) for name in kept["state_dict"])


@pytest.mark.skipif(os.name == "nt", reason="a folder that someone is in cannot be renamed there")
def test_new_run_from_inside_the_earlier_one_moves_it_aside(fit, tmp_path, monkeypatch):
    kept = fit(tmp_path).load()
    monkeypatch.chdir(tmp_path / "run" / "checkpoints")
    assert fit(tmp_path, "--seed_everything=7").code == 0
    (moved,) = tmp_path.glob("run_2*")
    again = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(torch.equal(kept["state_dict"][name], again["state_dict"][name]) for name in kept["state_dict"])


def test_a_persons_own_reward_and_callback_run(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_rewards.py").write_text(README_REWARD)
    (tmp_path / "my_callbacks.py").write_text(README_CALLBACK)
    rewards = [{"class_path": "my_rewards.HighTouch", "init_args": {"weight": 4.0}}]
    run = fit(
        tmp_path, "--allow=my_rewards", "--allow", "my_callbacks", f"--data.rewards={json.dumps(rewards)}",
        "--trainer.callbacks=my_callbacks.Cheer",
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    assert run.out.count("[OK] 0 goals in 0.07 minutes of game!\n") == 2  # 64 steps of 1/15 s
    (_, reward), _ = run.scalars()["reward/high_touch"]
    assert reward >= 4 * 15 * 60  # the 1 of every step, by its weight, a minute


@pytest.mark.parametrize("word", ["logger=true", "logger=false", "plugins=null", "callbacks=null"])
def test_parts_of_the_trainer_that_are_not_named_change_nothing(fit, tmp_path, word):
    run = fit(tmp_path, f"--trainer.{word}", "--timesteps=64")
    assert (run.code, run.err) == (0, "")
    assert "ppo/kl" in run.scalars()


def test_yaml_without_a_precision_trains_in_float32(fit, tmp_path):
    run = fit(tmp_path, "--trainer.precision=null", "--timesteps=64")
    assert (run.code, run.err) == (0, "")
    assert run.load()["metadata"]["precision"] == "32-true"


def test_names_outside_ascii_do_no_harm_on_a_western_console(train, tmp_path):
    names = ("--username", "Zo\u00eb \u65e5", "--logdir", "l\u00f6gs/run")
    run = train(tmp_path, "--debug", "--timesteps=200", *names, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert (run.code, run.err) == (0, "")
    assert run.out.isascii()
    last = torch.load(tmp_path / "l\u00f6gs" / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["metadata"]["username"] == "Zo\u00eb \u65e5"


def test_files_are_utf8_whatever_the_systems_encoding(train, tmp_path):
    (tmp_path / "mine.yaml").write_text("{username: Zo\u00eb \u65e5, trainer: {precision: 32-true}}", encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = train(tmp_path, "--debug", "--timesteps=200", "--config=mine.yaml", **ascii_only)
    assert (run.code, run.err) == (0, "")
    written = yaml.safe_load((run.logdir / "config.yaml").read_text(encoding="utf-8"))
    assert written["username"] == run.load()["metadata"]["username"] == "Zo\u00eb \u65e5"


@pytest.mark.parametrize(
    "python", [(str(ROOT / "scripts/train.py"),), ("-m", "rlbot", "train")], ids=["script", "rlbot"]
)
def test_foreign_rlbot_is_named_with_its_cure(train, tmp_path, python):
    (stub := tmp_path / "stub" / "rlbot-1.68.0.dist-info").mkdir(parents=True)
    (stub / "METADATA").write_text("Metadata-Version: 2.1\nName: rlbot\nVersion: 1.68.0\n")
    path = os.pathsep.join([str(stub.parent), os.environ.get("PYTHONPATH", "")])
    run = train(tmp_path, python=python, PYTHONPATH=path)
    assert (run.code, run.err.count("\n"), run.err[:8]) == (2, 1, "[ERROR] ")
    assert "'rlbot' 1.68.0" in run.err
    assert "pip uninstall -y rlbot" in run.err
