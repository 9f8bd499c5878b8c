"""The curriculum: where stages begin, what changes at a promotion, and who drives the opponents."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L  # noqa: N812
import pytest
import torch
import yaml

from callbacks import Curriculum, Stage
from callbacks.stages import default_stages
from rlbot.__main__ import ROOT

STAGES = """
curriculum:
  stages:
    - {mode: 1v1, opponent: selfplay, from_timesteps: 0}
    - {mode: 1v2, opponent: checkpoint, from_timesteps: 100}
    - {mode: 2v2, opponent: selfplay, from_timesteps: 300, pool_share: 0.5}
  pool: {interval: 64, num_opponents: 4, size: 3}
checkpoint: {keep: 9}
total_timesteps: 448
"""


class Witness(L.Callback):
    """Notes what was played in each iteration; stands before the curriculum among the callbacks."""

    seen: list[SimpleNamespace] = []  # noqa: RUF012

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        env = trainer.datamodule.open(pl_module)._opened.env
        match, members = env.match, getattr(env.match.opponent, "members", {})
        self.seen.append(
            SimpleNamespace(
                timesteps=trainer.datamodule.timesteps,
                mode=match.mode,
                cars=match.num_cars,
                learners=env.num_envs,
                policy=pl_module.policy,
                opponents=list(members),
                weights=[list(member._acting.actor.parameters()) for member in members.values()],
            )
        )


class Vandal(L.Callback):
    """Damages the past self of 64 timesteps when ``when`` timesteps are done."""

    strike: Any = None

    def __init__(self, when: int) -> None:
        self.when = when

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.datamodule.timesteps == self.when:
            self.strike(Path(trainer.log_dir, "pool", "timesteps_000000000064.ckpt"))


def callback(name: str, **arguments: Any) -> list[str]:
    """Command line that adds a callback of this file as a user adds one."""
    named = {"class_path": f"test_curriculum.{name}", "init_args": arguments}
    return ["--allow", "test_curriculum", f"--trainer.callbacks={[named]}"]


@pytest.fixture(scope="module")
def promoted(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("promoted")
    (folder / "stages.yaml").write_text(STAGES)
    Witness.seen.clear()
    run = fit(folder, f"--config={folder / 'stages.yaml'}", *callback("Witness"))
    assert run.code == 0, run.err
    return SimpleNamespace(run=run, seen=list(Witness.seen))


@pytest.mark.parametrize(
    ("timesteps", "stage"), [(0, 0), (1_999_999, 0), (2_000_000, 1), (3_499_999, 1), (3_500_000, 2), (9_000_000, 2)]
)
def test_stage_begins_at_its_first_timestep(timesteps, stage):
    assert Curriculum().stage_at(timesteps) == stage


def test_default_stages_are_those_of_base_yaml():
    written = yaml.safe_load((ROOT / "configs" / "base.yaml").read_text(encoding="utf-8"))["curriculum"]["stages"]
    assert [Stage(**stage) for stage in written] == default_stages()


def test_promotion_happens_at_the_first_boundary_at_or_after_the_limit(promoted):
    modes = [(seen.timesteps, seen.mode) for seen in promoted.seen]
    assert modes == [(64, "1v1"), (128, "1v1"), (192, "1v2"), (256, "1v2"), (320, "1v2"), (384, "2v2"), (448, "2v2")]


def test_promotion_changes_the_cars_and_who_learns(promoted):
    cars = {seen.mode: (seen.cars, seen.learners) for seen in promoted.seen}
    assert cars == {"1v1": (2, 4), "1v2": (3, 2), "2v2": (4, 6)}  # 2v2: all 4 of one arena, the blue 2 of the other


def test_promotion_carries_the_policy_object_on(promoted):
    assert len({id(seen.policy) for seen in promoted.seen}) == 1


def test_opponents_are_drawn_from_past_selves(promoted):
    drawn = [{int(name[10:]) for name in seen.opponents} for seen in promoted.seen[2:]]
    assert all(0 < len(members) <= 4 for members in drawn)
    assert all(max(members) < seen.timesteps for members, seen in zip(drawn, promoted.seen[2:], strict=True))
    assert len(set(map(frozenset, drawn))) > 1


def test_opponents_play_with_the_weights_of_their_time(promoted):
    saved = promoted.run.load(f"{promoted.seen[3].opponents[0]}.ckpt")["state_dict"]
    weights = [tensor for name, tensor in saved.items() if name.startswith("policy.actor.")]
    assert all(torch.equal(a, b) for a, b in zip(promoted.seen[3].weights[0], weights, strict=True))


def test_pool_keeps_few_files_spread_over_the_run(promoted):
    state = promoted.run.load()["callbacks"]["Curriculum"]["pool"]
    assert len(state["files"]) == 3
    assert next(iter(state["files"])) == "timesteps_000000000064"
    kept = {Path(file).name for file in [*state["files"].values(), *state["retired"]]}
    assert {file.name for file in (promoted.run.logdir / "pool").iterdir()} == kept


def test_stage_is_logged_and_told(promoted):
    assert promoted.run.scalars()["curriculum/stage"] == [
        (64, 0), (128, 0), (192, 1), (256, 1), (320, 1), (384, 2), (448, 2)
    ]  # fmt: skip
    assert "[OK] Stage 1: 1v2 (checkpoint) from 128 timesteps on" in promoted.run.out
    assert "[OK] Stage 2: 2v2 (selfplay) from 320 timesteps on" in promoted.run.out


def test_without_a_past_self_yet_a_copy_of_the_policy_is_played(fit, tmp_path):
    Witness.seen.clear()
    run = fit(
        tmp_path, '--curriculum.stages=[{"mode": "1v2", "opponent": "checkpoint"}]', "--timesteps=64",
        *callback("Witness"),
    )  # fmt: skip
    (seen,) = Witness.seen
    assert (run.code, seen.mode, seen.opponents) == (0, "1v2", ["timesteps_000000000000"])
    assert not any(a is b for a in seen.weights[0] for b in seen.policy.parameters())


@pytest.mark.parametrize("kind", ["text", "cut", "empty", "flipped", "missing"])
def test_lost_opponent_file_is_dropped_with_one_warning(fit, tmp_path, monkeypatch, damage, kind):
    monkeypatch.setattr(Vandal, "strike", lambda _, file: damage(file, kind))
    (tmp_path / "stages.yaml").write_text(STAGES.replace("300", "1000").replace("opponents: 4", "opponents: 20"))
    run = fit(tmp_path, f"--config={tmp_path / 'stages.yaml'}", *callback("Vandal", when=128))
    warnings = [line for line in run.out.splitlines() if line.startswith("[ERROR] Opponent dropped")]
    assert (run.code, run.load()["metadata"]["timesteps"]) == (0, 448)
    assert len(warnings) == 1
    assert "timesteps_000000000064.ckpt" in warnings[0]


def test_run_that_was_moved_and_goes_on_elsewhere_plays_the_past_selves_beside_its_checkpoint(fit, tmp_path):
    words = '--curriculum.stages=[{"mode": "1v2", "opponent": "checkpoint"}]', "--curriculum.pool.interval=64"
    old, moved = fit(tmp_path, *words, "--timesteps=64").logdir, tmp_path / "moved"
    old.rename(moved)
    for file in (moved / "pool").iterdir():  # at the old path is another run by now
        (old / "pool").mkdir(parents=True, exist_ok=True)
        (old / "pool" / file.name).write_text("another run's")
    run = fit(tmp_path, *words, f"--ckpt_path={moved}/checkpoints/last.ckpt", f"--logdir={tmp_path / 'new'}")
    assert (run.code, "Opponent dropped" in run.out) == (0, False), run.out + run.err
    saved = torch.load(tmp_path / "new" / "checkpoints" / "last.ckpt", weights_only=True)
    folders = [Path(file).parent for file in saved["callbacks"]["Curriculum"]["pool"]["files"].values()]
    assert folders == [moved / "pool", moved / "pool", tmp_path / "new" / "pool"]


def test_stage_outside_the_three_ends_the_command(fit, tmp_path):
    run = fit(tmp_path, '--curriculum.stages=[{"mode": "3v3"}]')
    assert run.code == 2
    assert run.err == "[ERROR] curriculum.stages[0].mode='3v3': only 1v1, 1v2, 2v2 are stages\n"


def test_stage_is_left_when_its_results_are_there_and_not_before(fit, tmp_path):
    stages = """[{mode: 1v1, until: {win_rate: {idle: 0.09}, min_timesteps: 100}},
        {mode: 1v2, opponent: checkpoint, until: {touches_per_minute: 1000000, max_timesteps: 128}}, {mode: 2v2}]"""
    evaluation = "--evaluation={interval: 64, games: 2, match_seconds: 0.1, max_share: null, anchors: [idle]}"
    run = fit(tmp_path, f"--curriculum.stages={stages}", evaluation, "--timesteps=384")
    assert (run.code, run.err) == (0, "")
    assert "  Stage 0: 1v1 (selfplay) until a win rate of 0.09 against idle, not before 100 timesteps\n" in run.out
    # A draw is half a win: of two, the interval's lower end is 0.095. 1v2 ends after 128 timesteps, begun at 128.
    assert [stage for _, stage in run.scalars()["curriculum/stage"]] == [0, 0, 1, 1, 2, 2]


def test_stage_by_results_is_the_same_after_a_resume(fit, tmp_path):
    stages = """--curriculum.stages=[{mode: 1v1, until: {max_timesteps: 64}},
        {mode: 1v2, opponent: checkpoint, until: {max_timesteps: 192}}, {mode: 2v2}]"""
    fit(tmp_path, stages, "--timesteps=192")
    run = fit(tmp_path, stages, "--timesteps=384", "--ckpt_path=last")
    assert [stage for _, stage in run.scalars()["curriculum/stage"]] == [0, 1, 1, 1, 2, 2]


def until(folder, *stages, **others):
    """Argument for a plan by results; the last stage stays."""
    plan = {"curriculum": {"stages": [*stages, {"mode": "2v2"}], "pool": {"guests": ["idle"]}}, **others}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    return f"--config={folder / 'plan.yaml'}"


@pytest.mark.parametrize(("mode", "left"), [("1v1", 192), ("1v2", 320)])
def test_a_stage_that_was_edited_counts_from_the_resume_on_and_forgets_results(fit, tmp_path, mode, left):
    stage = {"mode": "1v1", "until": {"max_timesteps": 192}, "pool_share": 0.5}
    last = fit(tmp_path, until(tmp_path, stage), "--timesteps=128").logdir / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    saved["callbacks"]["Curriculum"]["pool"]["results"]["idle"] = [9.0, 9.0]
    torch.save(saved, last)
    run = fit(tmp_path, until(tmp_path, stage | {"mode": mode}), "--ckpt_path=last", "--timesteps=384")
    assert f"[OK] Stage 1: 2v2 (selfplay) from {left} timesteps on" in run.out, run.err
    if mode != "1v1":
        results = run.load("timesteps_000000000192.ckpt")["callbacks"]["Curriculum"]["pool"]["results"]
        assert results.get("idle", [0.0, 0.0])[1] < 9


def test_a_stage_is_not_left_by_an_evaluation_of_the_one_before(fit, tmp_path):
    rate = {"win_rate": {"idle": 0.05}}
    evaluation = {"interval": 128, "games": 2, "anchors": ["idle"], "num_past_selves": 0, "match_seconds": 1.0}
    stages = {"mode": "1v1", "until": rate}, {"mode": "1v2", "opponent": "checkpoint", "until": rate}
    plan = until(tmp_path, *stages, evaluation=evaluation | {"max_share": None})
    assert fit(tmp_path, plan, "--timesteps=320").scalars()["curriculum/stage"] == [
        (64, 0), (128, 0), (192, 1), (256, 1), (320, 2)
    ]  # fmt: skip
