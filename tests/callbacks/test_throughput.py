"""The speed of a run on the console and in TensorBoard."""

import itertools
import re
from types import SimpleNamespace

import lightning as L  # noqa: N812
import pytest
import torch

import callbacks.throughput
from callbacks.throughput import Throughput
from rlbot.ppo.data import RolloutDataModule

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
        assert overall / collect < shares[0]  # preparing the rollout is in the share
        assert 50 < logged["speed/process_memory_mb"][i] < 20_000


class Evaluates(L.Callback):
    """Says that it took four seconds of each iteration."""

    seconds_taken = 4.0


class Works(L.Callback):
    """Four seconds an iteration."""

    clock: list[float]

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.clock[0] += 4 * (batch_idx == 0)


def test_starting_the_arenas_is_not_in_the_speed_of_the_first_iteration(fit, tmp_path, monkeypatch):
    clock, started = [1000.0], RolloutDataModule.open

    def start(data, module):
        clock[0] += 3600 * (data._actors is None)
        return started(data, module)

    monkeypatch.setattr(RolloutDataModule, "open", start)
    monkeypatch.setattr(callbacks.throughput, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(Works, "clock", clock, raising=False)
    user = ("--allow=test_throughput", "--trainer.callbacks=test_throughput.Works")
    logged = fit(tmp_path, *user, "--timesteps=128").scalars()
    assert clock[0] == 1000 + 3600 + 2 * 4
    assert [value for _, value in logged["speed/timesteps_per_second"]] == pytest.approx([16.0, 16.0])


def test_each_iteration_has_its_own_time_and_learning_what_others_leave_of_it(fit, tmp_path, monkeypatch):
    clock = itertools.count(step=10)  # at the start, and after each iteration
    monkeypatch.setattr(callbacks.throughput, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    user = ("--allow=test_throughput", "--trainer.callbacks=test_throughput.Evaluates")
    logged = fit(tmp_path, *user, "--timesteps=192").scalars()
    assert [value for _, value in logged["speed/timesteps_per_second"]] == pytest.approx([6.4] * 3)
    for (_, collect), (_, learn) in zip(logged["speed/collect_share"], logged["speed/learn_share"], strict=True):
        assert collect + learn == pytest.approx(0.6)


def test_gpu_that_cannot_be_asked_is_left_out(monkeypatch):
    class NVMLError(Exception):
        pass

    def refuses(device):
        raise NVMLError("Not Supported")

    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: 3 * 2**20)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 4 * 2**20)
    monkeypatch.setattr("torch.cuda.utilization", refuses)
    found = Throughput._gpu(torch.device("cuda"))
    assert found == {"speed/gpu_memory_allocated_mb": 3, "speed/gpu_memory_reserved_mb": 4}


def test_there_is_no_gpu_in_what_a_cpu_logs(run):
    assert Throughput._gpu(torch.device("cpu")) == {}
    assert not [tag for tag in run.scalars() if "gpu" in tag]


def test_negative_time_between_lines_is_refused(fit, tmp_path):
    run = fit(tmp_path, "--throughput.print_seconds=-1")
    assert run.code == 2
    assert "print_seconds" in run.err
