"""Intervals by hand, and the same results from any number of processes, none of which outlives the command."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import torch
from running import spawned

from rlbot.__main__ import ROOT
from rlbot.errors import InputError, TryAgainError
from rlbot.play import evaluation
from rlbot.play.evaluation import Pairing, evaluate, ratio, wilson
from rlbot.ppo.module import PPO

KILL = getattr(signal, "SIGKILL", 9)  # not on Windows, where a parameter must be something too


def test_wilson_is_as_published():
    assert wilson(8, 10) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((1, 0.7225, 1), abs=1e-4)


def test_bootstrap_is_as_wide_as_the_spread_between_matches():
    goals, played = np.random.default_rng(1).poisson(4.0, 400).astype(float), np.ones(400)
    mean, low, high = ratio(goals, played, seed=1)
    assert mean == pytest.approx(goals.mean())
    assert high - low == pytest.approx(2 * 1.96 * goals.std() / 20, rel=0.1)
    assert ratio(np.full(5, 3.0), np.full(5, 2.0), seed=1) == (1.5, 1.5, 1.5)
    assert ratio(np.zeros(5), np.zeros(5), seed=1) is None
    one = np.array([1.0, 0, 0])
    assert ratio(one, one, seed=1) == (1, 1, 1)  # of the matches in which nothing happened nothing is known


def test_results_do_not_depend_on_the_number_of_processes(monkeypatch):
    monkeypatch.setattr(evaluation, "MATCHES_A_TASK", 1)
    pairing, told = Pairing("random", "chaser", "1v1", seed=3), []
    alone = evaluate(pairing, games=2, progress=told.append)
    assert told == [1, 2]
    assert [result.a_is_blue for result in alone] == [True, False]
    assert evaluate(pairing, games=2, workers=2, progress=told.append) == alone
    assert told[2:] == [1, 2]


@pytest.mark.parametrize(
    ("change", "games", "workers", "message"),
    [
        ({"mode": "4v4"}, 2, 1, "mode=4v4: must be one of 1v1, 1v2, 2v2, 3v3"),
        ({}, 1, 1, "games=1: must be at least 2"),
        ({}, 2, 0, "workers=0: must be at least 1"),
        ({"seed": -1}, 2, 1, "seed=-1: must be at least 0"),
        ({"b": "nobody"}, 2, 2, "opponent='nobody' is none of random, idle, chaser, goalie"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_value(change, games, workers, message):
    with pytest.raises(InputError, match=message):
        evaluate(Pairing("idle", "idle", "1v1", 1)._replace(**change), games, workers)


@pytest.fixture
def saved(tmp_path):
    """A file of an untrained policy that decides every so many ticks."""

    def save(tick_skip):
        module, file = PPO(hidden_sizes=(8,), step_seconds=tick_skip / 120), tmp_path / f"every_{tick_skip}.ckpt"
        torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, file)
        return str(file)

    return save


def test_policy_plays_as_often_as_it_learned_to(saved, monkeypatch):
    rates = []
    monkeypatch.setattr(evaluation, "play_matches", lambda *_, tick_skip: rates.append(tick_skip) or [])
    for pairing in (
        Pairing(saved(4), "idle", "1v1", 1),
        Pairing("idle", saved(12), "1v1", 1),
        Pairing("idle", "idle", "1v1", 1),
    ):
        evaluate(pairing, games=2)
    assert rates == [4, 12, 8]


def test_policies_of_different_rates_cannot_meet(saved):
    with pytest.raises(InputError, match=r"every_4\.ckpt decides every 4 ticks and .*every_12\.ckpt every 12"):
        evaluate(Pairing(saved(4), saved(12), "1v1", 1), games=2)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize(
    ("signum", "victim", "code"),
    [(signal.SIGINT, "all", 130), (KILL, "command", -KILL), (KILL, "worker", 75)],
)
def test_no_process_outlives_the_command_and_a_killed_one_ends_it(signum, victim, code):
    command = [sys.executable, ROOT / "scripts" / "evaluate.py", "idle", "idle", "--games", "400", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: len(workers := spawned(process.pid)) == 2 and min(w.cpu_times().user for w in workers) > 4)
    begun = psutil.Process(process.pid).children(recursive=True)
    if victim == "all":  # as Ctrl-C does
        os.killpg(process.pid, signum)
    else:
        os.kill(spawned(process.pid)[0].pid if victim == "worker" else process.pid, signum)
    error = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, "Traceback" in error) == (code, False)
    assert ("[ERROR] a worker process was killed" in error) == (victim == "worker")
    wait_until(lambda: not psutil.wait_procs(begun, timeout=0)[1])


def test_no_thread_of_the_pool_outlives_a_killed_worker():
    others = threading.enumerate(), multiprocessing.active_children()

    def kill_one():
        wait_until(lambda: len(set(multiprocessing.active_children()) - set(others[1])) == 2)
        (set(multiprocessing.active_children()) - set(others[1])).pop().kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(TryAgainError, match="a worker process was killed"):
        evaluate(Pairing("idle", "idle", "1v1", 1), 400, workers=2)
    killer.join()
    assert not set(threading.enumerate()) - set(others[0])
    assert not set(multiprocessing.active_children()) - set(others[1])
