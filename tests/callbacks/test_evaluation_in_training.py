"""Evaluation while training: what it logs and keeps, what it costs, and that it changes nothing."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from side_by_side import in_two_processes

import callbacks.evaluation
from callbacks import Curriculum, Evaluation, Stage, Stop, Until
from rlbot.league.opponents import Idle
from rlbot.league.past_selves import PoolSettings
from rlbot.league.ratings import Result, ratings
from rlbot.play.matches import MatchResult
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO

OFTEN = "--evaluation={interval: 64, games: 2, match_seconds: 0.2, max_share: null, anchors: [random, idle]}"
POOL = "--curriculum.pool={interval: 64}"
STAGES = "--curriculum.stages=[{mode: 1v1, pool_share: 0.5}, {mode: 1v2, opponent: checkpoint, from_timesteps: 128}]"


class Randomness(L.Callback):
    """Notes the state of everything that draws or computes for all."""

    def __init__(self, notes: list[Any]) -> None:
        self.notes = notes

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        state = (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate())
        self.notes.append((*state, torch.get_num_threads()))


def small(**settings: Any) -> Any:
    return Evaluation(**{"interval": 32, "games": 2, "match_seconds": 0.2, "max_share": None} | settings)


def train(folder: Path, *callbacks: L.Callback, timesteps: int = 64, **settings: Any) -> PPO:
    """A tiny fit on two arenas of Rocket League."""
    torch.manual_seed(1)
    module = PPO(hidden_sizes=(8,))
    data = RolloutDataModule(
        num_envs=2, batch_size=32, minibatch_size=32, epochs=1, num_workers=0, total_timesteps=timesteps
    )
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    usual = {"accelerator": "cpu", "devices": 1, "max_epochs": -1, "reload_dataloaders_every_n_epochs": 1}
    given = usual | dict.fromkeys(quiet, False) | {"limit_val_batches": 0, "default_root_dir": folder} | settings
    L.Trainer(callbacks=[*callbacks, Stop()], **given).fit(module, data)
    return module


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ratings.jsonl").read_text().splitlines()]


def logged(run: Any, prefix: str) -> dict[str, Any]:
    return {tag: points for tag, points in run.scalars().items() if tag.startswith(prefix)}


@pytest.fixture(scope="module")
def evaluated(fit, tmp_path_factory):
    """256 timesteps with an evaluation every 64."""
    return fit(tmp_path_factory.mktemp("evaluated"), OFTEN, POOL, STAGES, "--exact_resume=true", "--timesteps=256")


def test_evaluations_are_logged_against_every_opponent(evaluated):
    scalars = evaluated.scalars()
    for name in ("random/win_rate", "idle/win_rate", "random/goals", "rating", "rating_low", "touches_per_minute"):
        assert [step for step, _ in scalars[f"evaluation/{name}"]] == [64, 128, 192, 256]
    # A third and two thirds of 64 and of 128 are nearest to one past self; of 192 they are 64 and 128.
    assert [step for step, _ in scalars["evaluation/past_self_1/win_rate"]] == [64, 128, 192, 256]
    assert [step for step, _ in scalars["evaluation/past_self_2/win_rate"]] == [192, 256]
    assert evaluated.out.count("[OK] Evaluation at ") == 4


def test_what_is_logged_is_what_the_ledger_says(evaluated):
    scalars, played = evaluated.scalars(), lines(evaluated.logdir)
    for opponent in ("random", "idle"):
        of = [line for line in played if line["b"] == opponent]
        rates = [(line["wins"] + line["draws"] / 2) / 2 for line in of]
        assert [rate for _, rate in scalars[f"evaluation/{opponent}/win_rate"]] == rates
    last = ratings([Result.of(line) for line in played], "1v1")["timesteps_000000000256"]
    for name, value in zip(("rating", "rating_low", "rating_high"), last, strict=True):
        assert scalars[f"evaluation/{name}"][-1][1] == pytest.approx(value)
    assert last.low < last.mean < last.high


@pytest.mark.parametrize(("scorer", "goals"), [(0, "goals"), (1, "goals_against")])
def test_goals_are_logged_for_the_side_that_scored_them(tmp_path, monkeypatch, scorer, goals):
    result = MatchResult(2 * (scorer == 0), 2 * (scorer == 1), 3, 30.0, False, True)
    monkeypatch.setattr(callbacks.evaluation, "play_round", lambda *_, **__: {"idle": [result] * 2})
    noted: list[dict[str, float]] = []
    monkeypatch.setattr(PPO, "record", lambda self, scalars: noted.append(dict(scalars)))
    train(tmp_path, small(anchors=["idle"]), timesteps=32)
    found = {tag: value for one in noted for tag, value in one.items()}
    other = {"goals": "goals_against", "goals_against": "goals"}[goals]
    assert (found[f"evaluation/idle/{goals}"], found[f"evaluation/idle/{other}"]) == (2.0, 0.0)
    assert found["evaluation/touches_per_minute"] == 6.0


def test_results_are_in_the_ledger_by_names_that_stay(evaluated):
    assert [(line["a"], line["b"]) for line in lines(evaluated.logdir)][2:6] == [
        ("timesteps_000000000064", "timesteps_000000000000"),
        ("timesteps_000000000128", "random"),
        ("timesteps_000000000128", "idle"),
        ("timesteps_000000000128", "timesteps_000000000064"),
    ]
    assert all(line["wins"] + line["losses"] + line["draws"] == 2 for line in lines(evaluated.logdir))


def test_run_with_evaluation_learns_what_one_without_learns(fit, tmp_path, evaluated):
    words = (POOL, STAGES, "--exact_resume=true", "--timesteps=256")
    without = fit(tmp_path, *words, "--evaluation.interval=null")
    here, there = evaluated.load(), without.load()
    assert all(torch.equal(tensor, there["state_dict"][name]) for name, tensor in here["state_dict"].items())
    assert logged(evaluated, "ppo/") == logged(without, "ppo/")
    assert len(logged(without, "ppo/")) > 5
    assert logged(without, "evaluation/") == {}
    assert not (without.logdir / "ratings.jsonl").exists()


def test_resumed_run_has_the_same_pool_ratings_and_stage(fit, tmp_path, evaluated):
    words = (OFTEN, POOL, STAGES, "--exact_resume=true")
    fit(tmp_path, *words, "--timesteps=192")
    run = fit(tmp_path, *words, "--timesteps=256", "--ckpt_path=last")
    here, there = (one.load()["callbacks"] for one in (run, evaluated))
    pools = [one["Curriculum"]["pool"] for one in (here, there)]
    first, second = [(list(pool["files"]), pool["results"], pool["deal"]) for pool in pools]
    assert first == second
    assert here["Curriculum"]["stage"] == there["Curriculum"]["stage"] == 1
    assert here["Evaluation"]["results"] == there["Evaluation"]["results"]
    assert lines(run.logdir) == lines(evaluated.logdir)
    assert run.scalars()["evaluation/rating"] == evaluated.scalars()["evaluation/rating"]


def test_ledger_of_a_run_that_goes_on_from_earlier_holds_one_future(fit, tmp_path, evaluated):
    words = (OFTEN, POOL, STAGES, "--exact_resume=true")
    run = fit(tmp_path, *words, "--timesteps=128")
    earlier = shutil.copy(run.logdir / "checkpoints" / "last.ckpt", run.logdir / "checkpoints" / "earlier.ckpt")
    fit(tmp_path, *words, "--timesteps=256", "--ckpt_path=last")
    own = {"mode": "1v1", "a": "my bot", "b": "idle", "wins": 2, "losses": 0, "draws": 0}
    with (run.logdir / "ratings.jsonl").open("a") as ledger:
        ledger.write(json.dumps(own) + "\n")
    again = fit(tmp_path, *words, "--timesteps=192", f"--ckpt_path={earlier}")
    until = [[line for line in lines(evaluated.logdir) if line["a"] <= f"timesteps_{end:012d}"] for end in (128, 192)]
    assert lines(run.logdir) == [*until[0], own, *until[1][len(until[0]) :]]
    assert "ratings.jsonl: 8 results noted after 128 timesteps" in again.out


def test_ledger_that_cannot_be_read_does_not_end_training(tmp_path, capsys):
    (tmp_path / "ratings.jsonl").mkdir()
    train(tmp_path, small(interval=None))
    assert "[ERROR] Later results stay in " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "modes"),
    [((), ["1v1", "1v1", "2v2"]), (("--evaluation.mode=1v1",), ["1v1"] * 3), (("--evaluation.mode=2v2",), ["2v2"] * 3)],
)
def test_matches_are_of_the_stage_unless_a_mode_is_given(fit, tmp_path, words, modes):
    stages = """[{mode: 1v1, from_timesteps: 0}, {mode: 1v2, opponent: checkpoint, from_timesteps: 64},
        {mode: 2v2, from_timesteps: 128}]"""
    run = fit(tmp_path, OFTEN, f"--curriculum.stages={stages}", *words, "--timesteps=192")
    assert [line["mode"] for line in lines(run.logdir) if line["b"] == "idle"] == modes
    shown = [line for line in run.out.splitlines() if line.startswith("[OK] Evaluation at ")]
    assert [mode for mode, line in zip(modes, shown, strict=True) if f" timesteps in {mode}: " in line] == modes


def test_matches_with_more_cars_are_thought_to_cost_as_much_a_car(tmp_path, monkeypatch):
    asked: list[float] = []
    affordable = callbacks.evaluation.affordable_games
    monkeypatch.setattr(callbacks.evaluation, "affordable_games", lambda *a: asked.append(a[2]) or affordable(*a))
    for mode in ("1v1", "2v2"):
        train(tmp_path, small(mode=mode), timesteps=32)
    assert asked[1] == 2 * asked[0]


def test_fewer_matches_than_a_stage_waits_for_are_not_played(tmp_path, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(callbacks.evaluation, "affordable_games", lambda *a: asked.append(a[4]) or 0)
    evaluation = small()
    evaluation.least_games = 6
    train(tmp_path, evaluation, timesteps=32)
    assert asked == [6]
    assert not (tmp_path / "ratings.jsonl").exists()


def test_randomness_and_threads_are_left_as_they_were(tmp_path):
    notes: list[Any] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(tmp_path, Randomness(notes), small(), Randomness(notes))
    finally:
        torch.set_num_threads(threads)
    assert len(lines(tmp_path)) == 2 * 3
    assert notes[0] == notes[1]
    assert notes[2] == notes[3]


def test_evaluation_waits_until_its_share_of_the_time_pays_for_it(tmp_path):
    patient = small(max_share=1e-9)
    train(tmp_path, patient)
    assert not (tmp_path / "ratings.jsonl").exists()
    assert patient.state_dict()["due_since"] == 32
    patient.max_share = None
    train(tmp_path, patient)
    assert len(lines(tmp_path)) == 2 * 3
    assert patient.state_dict()["due_since"] == 0


def test_what_matches_cost_is_measured(tmp_path):
    costly = small()
    train(tmp_path, costly)
    spent, elapsed, a_match = costly.state_dict()["seconds"]
    assert 0 < 6 * a_match < spent < elapsed


class Signal(Stop):
    """A signal comes while the last iteration is learned from."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.signum = 2


def test_signal_ends_the_matches_at_once(tmp_path):
    stopped = small(match_seconds=3000.0, games=20)
    train(tmp_path, Signal(), stopped)
    assert not (tmp_path / "ratings.jsonl").exists()
    assert stopped.state_dict()["due_since"] == 32


def test_opponent_that_breaks_down_ends_no_run(tmp_path, capsys, monkeypatch):
    def breaks_down(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(Idle, "__call__", breaks_down)
    train(tmp_path, small(anchors=["random", "idle"]))
    assert capsys.readouterr().out.count("[ERROR] No evaluation at ") == 2


def test_past_self_that_cannot_be_read_is_left_out(fit, tmp_path, evaluated, damage):
    shutil.copytree(evaluated.logdir, tmp_path / "run")
    for file in (tmp_path / "run" / "pool").iterdir():
        damage(file, "cut")
    words = (OFTEN, "--curriculum.pool={interval: 1000}", "--curriculum.stages=[{mode: 1v1}]", "--timesteps=320")
    run = fit(tmp_path, *words, "--ckpt_path=last")
    shown = [line for line in run.out.splitlines() if line.startswith("[ERROR] Not evaluated against: ")]
    assert (run.code, len(shown)) == (0, 2)
    assert "[OK] Evaluation at 320 timesteps in 1v1" in run.out


def both(folder: str, stages: list[Stage]) -> dict[str, Any]:
    """Train in one of two processes; what it came to."""
    curriculum = Curriculum(stages, PoolSettings(interval=64, num_opponents=2))
    evaluation = small(interval=64, anchors=["idle"])
    strategy = DDPStrategy(broadcast_buffers=False)
    module = train(Path(folder), evaluation, curriculum, timesteps=320, devices=2, strategy=strategy)
    data = module.trainer.datamodule  # type: ignore[attr-defined]
    pool = data._opponent
    return {
        "weights": torch.cat([p.detach().flatten() for p in module.parameters()]),
        "stage": curriculum.index,
        "begun_at": curriculum.state_dict()["begun_at"],
        "win_rates": evaluation.win_rates_low,
        "deal": pool and pool.deal,
    }


def test_two_processes_agree_on_stage_opponents_and_results(tmp_path):
    left = Until(win_rate={"idle": 0.09}, min_timesteps=128)
    stages = [Stage("1v1", until=left, pool_share=0.5), Stage("1v2", "checkpoint")]
    first, second = in_two_processes(tmp_path, both, str(tmp_path), stages)
    assert torch.equal(first.pop("weights"), second.pop("weights"))
    assert first == second
    assert (first["stage"], first["begun_at"], len(first["deal"])) == (1, 128, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interval": 0}, "interval=0"),
        ({"games": 3}, r"games=3 \(even, at least 2\)"),
        ({"anchors": []}, r"anchors=\[\]"),
        ({"anchors": ["idle", "idle"]}, "of different file names"),
        ({"anchors": ["nobody"]}, "opponent='nobody'"),
        ({"match_seconds": 0.0}, "match_seconds=0.0"),
        ({"max_share": 0.0}, "max_share=0.0"),
    ],
)
def test_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Evaluation(**settings)
