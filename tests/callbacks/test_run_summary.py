"""The lines a person looks for when a run begins."""

import math

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rlbot.ppo.acting import cpu_has_bfloat16
from rlbot.ppo.policy import ActorCritic

MIXED = "Mixed-precision training (AMP) enabled: bf16-mixed on cpu"
USED, LINE = ("bf16-mixed", MIXED) if cpu_has_bfloat16() else ("32-true", "Precision: 32-true")
GOLDEN = f"""\
[START] Training
[OK] RocketSimVectorEnv with 2 environments created (4 agents)
[OK] Curriculum restriction verified
  Stage 0: 1v1 (selfplay) from 0 timesteps
  Stage 1: 2v2 (selfplay) from 500 timesteps
  Now: stage 0 at 0 timesteps
[OK] {LINE} (asked for 16-mixed)
[OK] Model forward pass verified
[OK] Training ready

CONFIGURATION SUMMARY:
Username: Aaron
Device: cpu
Vectorized: True
Optimized: True
Precision: {USED}
Checkpoint Interval: 64 timesteps
Timesteps: 0 of 64
Seed: 7
Log Folder: FOLDER/

"""
STAGES = '--curriculum.stages=[{"mode": "1v1"}, {"mode": "2v2", "from_timesteps": 500}]'


@pytest.fixture(scope="module")
def run(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("summary")
    return fit(folder, STAGES, "--timesteps=64", "--seed_everything=7", "--trainer.precision=16-mixed", "--device=cpu")


def test_lines_are_these(run):
    assert run.out.partition("[OK] Training speed")[0].replace(str(run.logdir), "FOLDER") == GOLDEN


def test_configuration_is_in_tensorboard(run):
    events = EventAccumulator(str(run.logdir)).Reload()
    (text,) = events.Tensors("configuration/text_summary")
    shown = text.tensor_proto.string_val[0].decode().removeprefix("```yaml").removesuffix("```")
    assert (text.step, yaml.safe_load(shown)["username"]) == (0, "Aaron")
    assert "_hparams_/experiment" in events.summary_metadata
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["model.learning_rate"].number_value == 8e-4
    assert [found[name].string_value for name in ("username", "data.observation")] == ["Aaron", "None"]
    assert found["model.close_up"].string_value == "True"


def test_policy_that_gives_no_numbers_does_not_begin(fit, tmp_path, monkeypatch):
    monkeypatch.setattr(ActorCritic, "value", lambda self, seen: seen[:, 0] * math.nan)
    with pytest.raises(RuntimeError, match="first forward pass gives NaN or infinity"):
        fit(tmp_path, "--timesteps=64")


def test_precision_really_used_is_stored(run):
    assert run.load()["metadata"]["precision"] == USED


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_precision_that_was_asked_for_needs_no_remark(fit, tmp_path, precision):
    run = fit(tmp_path, f"--trainer.precision={precision}", "--timesteps=64")
    line = {"32-true": "Precision: 32-true", "bf16-mixed": MIXED}[precision]
    assert f"[OK] {line}\n" in run.out
    assert "asked for" not in run.out


def test_resumed_run_tells_where_it_stands(fit, tmp_path):
    fit(tmp_path, STAGES, "--timesteps=512")
    run = fit(tmp_path, STAGES, "--timesteps=576", "--ckpt_path=last")
    assert "  Now: stage 1 at 512 timesteps\n" in run.out
    assert "Timesteps: 512 of 576\n" in run.out
