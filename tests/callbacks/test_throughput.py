"""The speed of a run on the console and in TensorBoard."""

import re

import pytest
import torch

from callbacks.throughput import Throughput

LINE = r"\[OK\] Training speed: \d+\.\d timesteps/sec \(collect \d+, learn \d+\) at (\d+) timesteps"


@pytest.fixture(scope="module")
def run(fit, tmp_path_factory):
    return fit(tmp_path_factory.mktemp("throughput"), "--timesteps=192")


def test_speed_is_printed_each_iteration_where_no_time_is_set(run):
    lines = [line for line in run.out.splitlines() if "Training speed" in line]
    assert [re.fullmatch(LINE, line)[1] for line in lines] == ["64", "128", "192"]


def test_speed_is_printed_once_in_the_time_that_is_set(fit, tmp_path):
    run = fit(tmp_path, "--timesteps=192", "--throughput.print_seconds=1000")
    assert re.findall(LINE, run.out) == ["64"]


def test_speeds_fit_together(run):
    logged = {tag: [value for _, value in values] for tag, values in run.scalars().items()}
    for i in range(3):
        collect, learn, overall = (logged[f"speed/{name}"][i] for name in ("collect", "learn", "timesteps_per_second"))
        shares = logged["speed/collect_share"][i], logged["speed/learn_share"][i]
        assert sum(shares) == pytest.approx(1)
        assert shares[1] == pytest.approx(overall / learn, rel=1e-4)
        assert overall / collect < shares[0]  # building the first arenas and preparing the rollout are in the share
        assert 50 < logged["speed/process_memory_mb"][i] < 20_000


def test_there_is_no_gpu_in_what_a_cpu_logs(run):
    assert Throughput._gpu(torch.device("cpu")) == {}
    assert not [tag for tag in run.scalars() if "gpu" in tag]


def test_negative_time_between_lines_is_refused(fit, tmp_path):
    run = fit(tmp_path, "--throughput.print_seconds=-1")
    assert run.code == 2
    assert "print_seconds" in run.err
