"""The benchmark as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import BASE, TINY

from rlbot.__main__ import ROOT
from rlbot.benchmark.command import main, save
from rlbot.errors import InputError, TryAgainError


def test_figures_are_complete_positive_and_add_up(benchmark, capsys, tmp_path):
    found = benchmark("--data.num_workers=0")
    assert (found["num_envs"], found["num_workers"], found["mode"], found["agents"]) == (2, 0, "1v1", 4)
    assert list(found["share"]) == ["physics", "observe", "reward", "infer", "learn", "other"]
    assert sum(found["share"].values()) == pytest.approx(1)
    assert min(found["share"].values()) > 0
    assert found["timesteps_per_second"] == found["overall"] < min(found["collect"], found["learn"])
    assert found["collect"] < found["physics_only"]
    assert min(found["outside_physics_us"], found["physics_us"]) > 0
    assert 0 < found["checkpoint_share"] < found["lightning_share"] < 1
    assert (found["repeats"], found["iterations"], found["spread"]["learn"]["median"]) == (2, 2, found["learn"])
    assert "outside arena.step, in collection" in capsys.readouterr().out
    assert list((tmp_path / "logs").iterdir()) == []


def test_time_of_a_slow_callback_is_lightning_s_and_not_learning_s(benchmark, tmp_path):
    source = (
        "import time\n\nimport lightning as L\n\n\nclass Slow(L.Callback):\n    def on_train_batch_end(self, *_):\n"
    )
    (tmp_path / "slow_callbacks.py").write_text(source + "        time.sleep(0.3)\n", encoding="utf-8")
    slow = ("--trainer.callbacks=[{class_path: slow_callbacks.Slow}]", "--allow=slow_callbacks", "--data.num_workers=0")
    assert benchmark(*slow, "--repeats=1", "--iterations=1")["lightning_share"] > 0.5


def test_rlbot_benchmark_measures_the_mode_of_the_configuration(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("1v1", "2v2"), encoding="utf-8")
    words = ["--config", BASE, "--config", "tiny.yaml", "--iterations=1", "--repeats=1", "--json=out.json"]
    done = subprocess.run([sys.executable, "-m", "rlbot", "benchmark", *words], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (found["mode"], found["agents"]) == ("2v2", 8)


def test_peers_workload_is_the_one_on_which_trainers_are_compared():
    peers = yaml.safe_load((ROOT / "configs" / "peers.yaml").read_text(encoding="utf-8"))
    assert (peers["model"]["hidden_sizes"], peers["model"]["layer_norm"]) == ([256, 256, 256], False)
    assert (peers["model"]["learning_rate"], peers["device"], peers["data"]["tick_skip"]) == (3.0e-4, "cpu", 8)
    assert [peers["data"][name] for name in ("batch_size", "minibatch_size", "epochs")] == [50_000, 50_000, 1]
    assert peers["data"]["starts"] == [{"class_path": "rlbot.game.starts.Kickoff"}]
    assert peers["curriculum"]["stages"] == [{"mode": "1v1", "opponent": "selfplay", "from_timesteps": 0}]


def test_workload_stacks_below_other_settings(benchmark, tmp_path):
    small = ("--data.batch_size=64", "--data.minibatch_size=64", "--data.num_envs=3", "--iterations=1", "--repeats=1")
    assert main(["--workload=peers", *small, "--json=out.json"]) == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (found["mode"], found["agents"], found["batch_size"]) == ("1v1", 6, 64)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--data.num_envs=0"], "num_envs=0"),
        (["--data.arenas=4"], "arenas"),
        (["--repeats=0"], "--repeats=0"),
        (["--iterations=many"], "--iterations"),
        (["--tune", "--peer"], "exclude each other"),
        (["--clock=5", "--peer"], "exclude each other"),
        (["--clock=0.5"], "--clock=0.5"),
        (["--json=missing/out.json"], "--json missing.out.json: the folder missing does not exist"),
        (["--json="], r"--json \.: is a folder"),
        (["--tune", "--out=missing/tuned.yaml"], "--out missing.tuned.yaml: the folder missing does not exist"),
        (["--tune", "--out=."], r"--out \.: is a folder"),
        (["--config=missing.yaml"], "config=missing.yaml"),
    ],
)
def test_what_cannot_be_used_is_named(benchmark, words, named):
    with pytest.raises(InputError, match=named):
        main(words)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")
def test_full_disk_ends_with_one_line_when_all_is_measured():
    with pytest.raises(TryAgainError, match=r"--json /dev/full: not written .*; the figures stand above"):
        save({"overall": 1000.0}, Path("/dev/full"))


def test_bad_setting_ends_with_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "rlbot", "benchmark", "--trainer.precision=64"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("[ERROR] ")
