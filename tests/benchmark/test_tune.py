"""Tuning finds the best of what it tries, within its time, and writes a YAML that trains."""

from pathlib import Path

import pytest
import torch
import yaml

from rlbot.benchmark.tune import candidates, search, write
from rlbot.errors import TryAgainError

START = {"data.num_workers": 1, "data.num_envs": 8}


def test_search_ends_at_the_best_settings(capsys):
    def measured(settings):
        speed = 1000 - 100 * abs(settings["data.num_envs"] - 32) + 10 * (settings["data.num_workers"] == 0)
        return {"overall": speed, "collect": 2 * speed}

    best, figures = search(measured, START, 60, ["data.num_envs"])
    assert (best["data.num_envs"], figures["overall"]) == (32, 1000)
    assert capsys.readouterr().out.count("timesteps/sec") > 3


def test_difference_that_may_be_noise_changes_nothing():
    best, _ = search(lambda s: {"overall": 100 + s["data.num_envs"] / 8, "collect": 1}, START, 60, ["data.num_envs"])
    assert best == START


def test_search_stops_when_its_time_is_over():
    tried = []
    search(lambda settings: tried.append(settings) or {"overall": len(tried), "collect": 1}, START, 0, list(START))
    assert tried == [START]


def test_candidates_are_other_values_in_range():
    assert candidates("data.num_envs", {"data.num_envs": 1, "data.num_workers": 1}) == [2, 4]
    assert candidates("data.num_envs", {"data.num_envs": 8, "data.num_workers": 6}) == [16, 32]
    workers = candidates("data.num_workers", {"data.num_envs": 1, "data.num_workers": 1})
    assert workers == [0]


def test_tuned_yaml_trains(benchmark, fit, tmp_path, capsys):
    found = benchmark("--tune", "--seconds=1", "--out=tuned.yaml")
    assert found["bottleneck"] in found["share"]
    assert "[OK] The bottleneck is " in capsys.readouterr().out
    settings = yaml.safe_load((tmp_path / "tuned.yaml").read_text(encoding="utf-8"))
    assert settings["data"]["num_envs"] == found["settings"]["data.num_envs"]
    first = (tmp_path / "tuned.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.endswith("--config tiny.yaml --config tuned.yaml")
    assert fit(tmp_path, "--config=tuned.yaml").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")
def test_full_disk_does_not_lose_what_was_found():
    with pytest.raises(TryAgainError, match=r"--out /dev/full: not written .*'data.num_envs': 8"):
        write(START, [], Path("/dev/full"))


def test_learning_uses_the_threads_that_were_found(fit, tmp_path):
    before = torch.get_num_threads()
    try:
        assert fit(tmp_path, f"--model.learn_threads={before + 1}").code == 0
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
