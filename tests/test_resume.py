"""Going on from a checkpoint: everything continues, edits win, damaged and foreign files are named."""

import copy
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STAGES = """
curriculum:
  stages:
    - {mode: 1v1, opponent: selfplay, from_timesteps: 0}
    - {mode: 1v2, opponent: checkpoint, from_timesteps: 128}
    - {mode: 2v2, opponent: selfplay, from_timesteps: 256, pool_share: 0.5}
  pool: {interval: 64, size: 3, num_opponents: 2}
"""
KINDS = ("cut", "flipped", "empty", "text", "foreign", "missing")
EXACT = (
    "--exact_resume=true",
    "--seed_everything=3",
    "--model.learning_rate=0.03",  # so that another opponent acts otherwise
)


class Witness(L.Callback):
    """Notes with what a run begins."""

    seen: dict[str, Any] = {}  # noqa: RUF012

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        state = {"weights": pl_module.state_dict(), "optimizer": trainer.optimizers[0].state_dict()["state"]}
        self.seen.update(copy.deepcopy(state))


def stages(folder: Path) -> str:
    (folder / "stages.yaml").write_text(STAGES)
    return f"--config={folder / 'stages.yaml'}"


def learned(run: Any) -> dict[str, torch.Tensor]:
    """Every tensor of weights, buffers and optimizer in a run's last checkpoint."""
    checkpoint = run.load()
    moments = checkpoint["optimizer_states"][0]["state"]
    return {
        **checkpoint["state_dict"],
        **{f"{i}.{name}": tensor for i, state in moments.items() for name, tensor in state.items()},
    }


def equal(a: Any, b: Any) -> bool:
    here, there = learned(a), learned(b)
    return here.keys() == there.keys() and all(torch.equal(here[name], there[name]) for name in here)


def logged(run: Any) -> dict[str, Any]:
    return {tag: points for tag, points in run.scalars().items() if not tag.startswith("speed/")}


@pytest.fixture(scope="module")
def straight(fit, tmp_path_factory):
    """320 timesteps through all three stages, a save after every 64."""
    folder = tmp_path_factory.mktemp("straight")
    run = fit(folder, stages(folder), *EXACT, "--timesteps=320", "--checkpoint.keep=9")
    assert run.code == 0, run.err
    return run


@pytest.fixture(scope="module")
def half(fit, tmp_path_factory):
    """The same, stopped after 192."""
    folder = tmp_path_factory.mktemp("half")
    return fit(folder, stages(folder), *EXACT, "--timesteps=192", "--checkpoint.keep=9")


@pytest.fixture
def stopped(half, tmp_path):
    """A copy of it to go on from, and to damage."""
    shutil.copytree(half.logdir, tmp_path / "run")
    return tmp_path


def change(folder: Path, edit: Any) -> None:
    """Rewrite the last checkpoint with an edit."""
    file = folder / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    edit(checkpoint)
    file.unlink()
    torch.save(checkpoint, file)


def test_resumed_run_continues_what_was_learned(fit, tmp_path):
    first = fit(tmp_path).load()
    run = fit(tmp_path, "--timesteps=256", "--ckpt_path=last")
    last = run.load()
    assert [checkpoint["metadata"]["timesteps"] for checkpoint in (first, last)] == [128, 256]
    steps = [checkpoint["optimizer_states"][0]["state"][0]["step"].item() for checkpoint in (first, last)]
    assert steps == [4, 8]  # two minibatches an iteration
    assert [c["state_dict"]["return_scale.count"].item() for c in (first, last)] == [128, 256]


def test_resumed_run_begins_with_the_learner_of_the_file(fit, half, stopped):
    witness = ("--allow=test_resume", "--trainer.callbacks=test_resume.Witness")
    run = fit(stopped, f"--ckpt_path={stopped / 'run/checkpoints/last.ckpt'}", "--timesteps=256", *witness)
    saved = half.load()
    assert (run.code, Witness.seen["weights"].keys()) == (0, saved["state_dict"].keys())
    assert all(torch.equal(Witness.seen["weights"][name], tensor) for name, tensor in saved["state_dict"].items())
    for i, state in saved["optimizer_states"][0]["state"].items():
        assert all(torch.equal(Witness.seen["optimizer"][i][name], tensor) for name, tensor in state.items())


def test_schedule_goes_on_where_it_stopped(fit, tmp_path):
    fit(tmp_path)
    run = fit(tmp_path, "--timesteps=256", "--ckpt_path=last", "--model.learning_rate_end=0.0")
    assert run.scalars()["ppo/learning_rate"][2:] == [(192, pytest.approx(4e-4)), (256, pytest.approx(2e-4))]


@pytest.mark.parametrize("stop", [64, 192], ids=["before the checkpoint stage", "within it"])
def test_exactly_resumed_run_equals_the_uninterrupted_one(fit, tmp_path, straight, stop):
    words = (stages(tmp_path), *EXACT, "--checkpoint.keep=9")
    fit(tmp_path, *words, f"--timesteps={stop}")
    run = fit(tmp_path, *words, "--timesteps=320", "--ckpt_path=last")
    assert (run.code, run.err, run.numbered) == (0, "", straight.numbered)
    assert equal(run, straight)
    assert logged(run) == logged(straight)


def test_opponents_of_the_coming_iteration_are_there_when_it_is_resumed(fit, tmp_path):
    """Few are kept, so that the pool drops some in every iteration."""
    curriculum = '--curriculum.stages=[{"mode": "1v2", "opponent": "checkpoint"}]'
    words = (curriculum, *EXACT, "--curriculum.pool={interval: 64, size: 2, num_opponents: 9}")
    for name in ("straight", "stopped"):
        (tmp_path / name).mkdir()
    straight = fit(tmp_path / "straight", *words, "--timesteps=384")
    fit(tmp_path / "stopped", *words, "--timesteps=320")
    run = fit(tmp_path / "stopped", *words, "--timesteps=384", "--ckpt_path=last")
    assert "Opponent dropped" not in straight.out + run.out
    assert equal(run, straight)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["optimizer_states"][0]["state"][0]["exp_avg"].zero_(),
        lambda c: c["optimizer_states"][0]["state"][0]["exp_avg_sq"].zero_(),
        lambda c: c["optimizer_states"][0]["state"][0]["step"].zero_(),
        lambda c: c["state_dict"]["return_scale.count"].zero_(),
        lambda c: c["state_dict"]["return_scale.mean"].zero_(),
        lambda c: c["state_dict"]["return_scale.squares"].zero_(),
        lambda c: c["state_dict"]["policy.critic.0.bias"].add_(1e-6),
        lambda c: c["RolloutDataModule"].update(timesteps=128),
        lambda c: c["callbacks"]["Curriculum"]["pool"].update(deal=["timesteps_000000000128"]),
    ],
    ids=["mean", "square", "step", "count", "centre", "spread", "weight", "timesteps", "opponents"],
)
def test_comparison_notices_any_state_that_is_lost(fit, stopped, straight, edit):
    change(stopped, edit)
    run = fit(stopped, stages(stopped), *EXACT, "--timesteps=320", "--checkpoint.keep=9", "--ckpt_path=last")
    assert run.code == 0, run.err
    assert not equal(run, straight)


@pytest.mark.parametrize("key", ["state_dict", "optimizer_states", "RolloutDataModule", "callbacks", "metadata"])
def test_checkpoint_that_lacks_a_part_is_refused(fit, stopped, key):
    change(stopped, lambda checkpoint: checkpoint.pop(key))
    run = fit(stopped, "--ckpt_path", str(stopped / "run" / "checkpoints" / "last.ckpt"), "--timesteps=256")
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert "last.ckpt" in run.err


def test_edit_on_the_command_line_wins_over_the_checkpoint_and_is_told(fit, tmp_path):
    fit(tmp_path, "--model.learning_rate=8e-4")
    run = fit(tmp_path, "--timesteps=256", "--ckpt_path=last", "--model.learning_rate=1e-4")
    told = [line for line in run.out.splitlines() if line.startswith("[OK] Changed since the checkpoint: ")]
    assert told == [
        "[OK] Changed since the checkpoint: model.learning_rate 0.0008 -> 0.0001",
        "[OK] Changed since the checkpoint: total_timesteps 128 -> 256",
    ]
    assert [value for _, value in run.scalars()["ppo/learning_rate"]] == pytest.approx([8e-4, 8e-4, 1e-4, 1e-4])
    assert run.load()["optimizer_states"][0]["param_groups"][0]["lr"] == 1e-4


def test_yaml_edit_wins_over_the_checkpoint_and_is_logged(fit, tmp_path):
    fit(tmp_path)
    (tmp_path / "edit.yaml").write_text("{model: {entropy: 0.5, half_life: 2.0}, username: Berta}")
    run = fit(tmp_path, "--timesteps=192", "--ckpt_path=last", f"--config={tmp_path / 'edit.yaml'}")
    assert "[OK] Changed since the checkpoint: model.half_life 4.6 -> 2.0\n" in run.out
    assert run.scalars()["ppo/entropy_weight"] == [(64, pytest.approx(0.01)), (128, pytest.approx(0.01)), (192, 0.5)]
    assert run.load()["metadata"]["username"] == "Berta"
    texts = EventAccumulator(str(run.logdir)).Reload().Tensors("configuration/text_summary")
    assert [(event.step, b"half_life: 2.0\n" in event.tensor_proto.string_val[0]) for event in texts][-1] == (128, True)


def test_resume_into_another_folder_leaves_the_first_as_it_was(fit, half, tmp_path):
    before = half.files
    run = fit(tmp_path, "--timesteps=256", f"--ckpt_path={half.logdir / 'checkpoints' / 'last.ckpt'}")
    assert (run.code, run.numbered, half.files) == (0, [256], before)


def test_no_timestep_stands_twice_in_tensorboard(fit, stopped):
    """The run goes on from an older file than its newest, as after a crash."""
    older = stopped / "run" / "checkpoints" / "timesteps_000000000064.ckpt"
    run = fit(stopped, stages(stopped), "--timesteps=256", f"--ckpt_path={older}")
    assert [step for step, _ in run.scalars()["ppo/kl"]] == [64, 128, 192, 256]


def test_code_in_a_checkpoint_is_not_run(fit, stopped, monkeypatch):
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (stopped / "sung",)

    change(stopped, lambda checkpoint: checkpoint.update(metadata=Bomb()))
    run = fit(stopped, f"--ckpt_path={stopped / 'run' / 'checkpoints' / 'last.ckpt'}")
    assert (run.code, run.err.count("\n"), (stopped / "sung").exists()) == (2, 1, False)
    assert "last.ckpt" in run.err


@pytest.mark.parametrize("key", ["hyper_parameters", "datamodule_hyper_parameters"])
def test_class_that_a_checkpoint_names_is_not_imported(fit, stopped, monkeypatch, key):
    monkeypatch.chdir(stopped)
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    Path("canary.py").write_text("from pathlib import Path\nPath('sung').touch()\n")
    names = {"_instantiator": "canary.make", "_class_path": "canary.Bird", "learning_rate": 5.0}
    change(stopped, lambda checkpoint: checkpoint.update({key: names}))
    run = fit(stopped, "--ckpt_path=last", "--timesteps=256")
    assert run.code in (0, 2)
    assert (stopped / "sung").exists() is False
    assert 5.0 not in [value for _, value in run.scalars()["ppo/learning_rate"]]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_checkpoint_ends_the_command_with_its_name(fit, stopped, damage, kind):
    file = stopped / "run" / "checkpoints" / "last.ckpt"
    damage(file, kind)
    run = fit(stopped, f"--ckpt_path={file}", "--timesteps=256")
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert run.err.startswith(f"[ERROR] ckpt_path={file}: ")
    assert "environments created" not in run.out


@pytest.mark.parametrize("kind", KINDS)
def test_last_takes_the_newest_valid_checkpoint_and_names_the_skipped(fit, stopped, damage, kind):
    checkpoints = stopped / "run" / "checkpoints"
    shutil.copy(checkpoints / "last.ckpt", checkpoints / "copy")
    os.replace(checkpoints / "copy", checkpoints / "last.ckpt")  # a file of its own again
    for name in ("last.ckpt", "timesteps_000000000192.ckpt"):
        damage(checkpoints / name, kind)
    run = fit(stopped, stages(stopped), "--ckpt_path=last", "--timesteps=256")
    skipped = [line for line in run.out.splitlines() if line.startswith("[ERROR] Skipped: ")]
    assert (run.code, "  Now: stage 1 at 128 timesteps\n" in run.out) == (0, True)
    assert len(skipped) == (0 if kind == "missing" else 2)
    assert all(name in line for name, line in zip(("last.ckpt", "000192.ckpt"), skipped, strict=False))


def test_last_without_any_checkpoint_ends_the_command(fit, tmp_path):
    run = fit(tmp_path, "--ckpt_path=last")
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert f"{tmp_path / 'run' / 'checkpoints'} holds no checkpoint that can be read" in run.err


@pytest.mark.parametrize(
    ("edit", "key", "shapes"),
    [
        ("--model.hidden_sizes=[16]", "policy.actor.0.weight", "(8, 192) in the checkpoint and (16, 192)"),
        ("--model.hidden_sizes=[8, 8]", "policy.actor.3.weight", "(90, 8) in the checkpoint and (8, 8)"),
        ("--model.head=rlbot.ppo.policy.GaussianHead", "policy.head.log_std", "None in the checkpoint and (8,)"),
        ("--model.layer_norm=false", "policy.actor.2.weight", "None in the checkpoint and (90, 8)"),
    ],
)
def test_first_weight_of_another_shape_is_named_with_both_shapes(fit, stopped, edit, key, shapes):
    run = fit(stopped, "--ckpt_path=last", "--timesteps=256", edit)
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert f"{key} has shape {shapes} in this configuration" in run.err
    assert "environments created" not in run.out


def test_resumed_run_goes_on_along_the_line_of_a_reward_terms_weight(fit, tmp_path):
    near = '"rlbot.game.rewards.DistanceToBall", "init_args": {"weight": 1, "weight_end": 0, "falloff": 1.0e12}'  # 1
    words = ("--timesteps=256", f'--data.rewards=[{{"class_path": {near}}}]')
    straight = fit(tmp_path, *words).scalars()["reward/distance_to_ball"]
    saved = tmp_path / "run" / "checkpoints" / "timesteps_000000000128.ckpt"
    (tmp_path / "resumed").mkdir()
    resumed = fit(tmp_path / "resumed", *words, "--data.num_workers=1", f"--ckpt_path={saved}").scalars()
    a_minute = [900, 675, 450, 225]  # steps of 1/15 s, each worth the weight that the iteration began with
    assert straight == [(64 * (i + 1), pytest.approx(value)) for i, value in enumerate(a_minute)]
    assert resumed["reward/distance_to_ball"] == straight[2:]
