"""When a stage is left, and which stages make a plan."""

import pytest
import torch

from callbacks.curriculum import Curriculum
from callbacks.evaluation import Evaluation
from callbacks.stages import Stage, Until, described
from rlbot.errors import InputError
from rlbot.game.observations import DefaultObservation
from rlbot.league.past_selves import PoolSettings
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO


@pytest.mark.parametrize(
    ("timesteps", "touches", "low", "over"),
    [
        (1000, 12.0, 0.6, True),
        (999, 12.0, 0.6, False),  # too early
        (5000, 11.9, 0.9, False),
        (5000, 20.0, 0.59, False),
        (5000, 20.0, None, False),  # not measured yet
        (7999, 0.0, 0.0, False),
        (8000, 0.0, 0.0, True),  # long enough
    ],
)
def test_stage_is_over_when_all_holds_or_after_its_longest_time(timesteps, touches, low, over):
    until = Until(touches_per_minute=12, win_rate={"chaser": 0.6}, min_timesteps=1000, max_timesteps=8000)
    assert until.holds(timesteps, touches, {} if low is None else {"chaser": low}) is over


def test_a_longest_time_alone_is_waited_for():
    until = Until(max_timesteps=100)
    assert [until.holds(timesteps, 99.0, {}) for timesteps in (0, 99, 100)] == [False, False, True]


def test_lines_of_a_plan_say_when_each_stage_is_left():
    by_rate = Until(touches_per_minute=12, win_rate={"chaser": 0.6}, min_timesteps=100, max_timesteps=800)
    stages = [Stage("1v1", until=by_rate), Stage("1v2", "checkpoint", until=Until(max_timesteps=100)), Stage("2v2")]
    assert described(stages) == [
        "1v1 (selfplay) until 12 touches a minute and a win rate of 0.6 against chaser, not before 100 timesteps, "
        "or after 800 timesteps",
        "1v2 (checkpoint) for 100 timesteps",
        "2v2 (selfplay) to the end",
    ]


@pytest.mark.parametrize("mode", ["3v3", "2v1", "1V1", "1v", ""])
def test_only_three_modes_are_stages(mode):
    with pytest.raises(ValueError, match="1v1, 1v2, 2v2"):
        Curriculum([Stage(mode)])


@pytest.mark.parametrize("begins", [[5], [0, 200, 100], [0, 100, 100], [-1, 100]])
def test_stages_must_begin_at_zero_and_rise(begins):
    with pytest.raises(ValueError, match="must begin at 0 and rise"):
        Curriculum([Stage("1v1", "selfplay", begin) for begin in begins])


LONG = Until(max_timesteps=9)


@pytest.mark.parametrize(
    "stages",
    [
        [Stage("1v1", until=LONG)],
        [Stage("1v1", until=LONG), Stage("2v2", until=LONG)],
        [Stage("1v1"), Stage("1v2", until=LONG), Stage("2v2")],
        [Stage("1v1", until=LONG), Stage("2v2", from_timesteps=5)],
    ],
)
def test_a_plan_goes_by_timesteps_or_by_results(stages):
    with pytest.raises(ValueError, match="by from_timesteps or by until, not by both"):
        Curriculum(stages)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (Until(), "needs touches_per_minute, win_rate or max_timesteps"),
        (Until(touches_per_minute=0), r"touches_per_minute=0 \(above 0\)"),
        (Until(touches_per_minute=float("inf")), r"touches_per_minute=inf \(above 0\)"),
        (Until(touches_per_minute=9, min_timesteps=-1), r"min_timesteps=-1 \(not below 0\)"),
        (Until(win_rate={"idle": 1}), r"win_rate=\{'idle': 1\}"),
        (Until(min_timesteps=5, max_timesteps=4), r"max_timesteps=4 \(at least 1 and min_timesteps=5\)"),
    ],
)
def test_what_is_wrong_in_until_is_named(until, message):
    with pytest.raises(ValueError, match=rf"stages\[0\].until: {message}"):
        Curriculum([Stage("1v1", until=until), Stage("2v2")])


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (Evaluation(anchors=["random"]), "of chaser, who is not in evaluation.anchors"),
        (Evaluation(interval=None), "needs evaluations, and there are none: evaluation.interval is null"),
        (Evaluation(games=4), "=0.6 against chaser is out of reach: 4 matches that are all won are 0.51 for certain"),
    ],
)
def test_a_win_rate_that_nobody_will_find_is_refused(evaluation, message):
    plan = Curriculum([Stage("1v1", until=Until(win_rate={"chaser": 0.6})), Stage("2v2")])
    plan.check(Evaluation(games=6), RolloutDataModule())
    with pytest.raises(InputError, match=rf"curriculum.stages: until.win_rate ?{message}"):
        plan.check(evaluation, RolloutDataModule())


class Own(DefaultObservation):
    """Another class, so its numbers may mean anything."""


def test_with_an_observation_of_its_own_a_run_has_no_guests_and_no_evaluations():
    data = RolloutDataModule(observation=Own())
    by_rate = [Stage("1v1", until=Until(win_rate={"chaser": 0.6})), Stage("2v2")]
    with pytest.raises(InputError, match=r"there are none: data.observation is your own"):
        Curriculum(by_rate).check(Evaluation(), data)
    with pytest.raises(InputError, match=r"curriculum.pool.guests=\['idle'\] know the default observation only"):
        Curriculum([Stage("1v1")], PoolSettings(guests=["idle"])).check(Evaluation(), data)
    Curriculum([Stage("1v1", pool_share=0.5)]).check(Evaluation(), data)


@pytest.mark.parametrize(("opponent", "share"), [("selfplay", 1.0), ("selfplay", -0.1), ("checkpoint", 0.2)])
def test_a_share_of_matches_against_past_selves_is_below_one_and_of_selfplay(opponent, share):
    with pytest.raises(ValueError, match=f"pool_share={share}"):
        Curriculum([Stage("1v1", opponent, pool_share=share)])


def test_evaluations_are_put_off_until_they_can_show_the_rate_that_a_stage_waits_for():
    plan = Curriculum([Stage("1v1", until=Until(win_rate={"idle": 0.6, "chaser": 0.75})), Stage("2v2")])
    evaluation = Evaluation(games=40)
    plan.check(evaluation, RolloutDataModule())
    assert evaluation.least_games == 12  # 12 won of 12 are 0.758 for certain, 10 of 10 are 0.722


def test_arenas_of_a_worker_must_be_enough_to_be_shared():
    plan = Curriculum([Stage("1v1"), Stage("2v2", from_timesteps=64, pool_share=0.5)])
    data = RolloutDataModule(num_envs=3, num_workers=2, batch_size=64, minibatch_size=64)
    with pytest.raises(InputError, match=r"pool_share=0.5 needs at least 2 arenas in each worker, and data.num_envs=3"):
        plan.check(Evaluation(), data)


def test_policies_that_learned_to_decide_at_another_rate_are_no_guests_and_no_anchors(tmp_path):
    module, file = PPO(hidden_sizes=(8,), step_seconds=8 / 120), str(tmp_path / "eight.ckpt")
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, file)
    guest, anchor = Curriculum([Stage("1v1")], PoolSettings(guests=[file])), Evaluation(anchors=["idle", file])
    guest.check(anchor, RolloutDataModule())
    for plan, evaluation, setting in (
        (guest, Evaluation(), "curriculum.pool.guests"),
        (Curriculum([Stage("1v1")]), anchor, "evaluation.anchors"),
    ):
        with pytest.raises(InputError, match=rf"^{setting}: .*eight.ckpt decides every 8 ticks, and not every 4 as"):
            plan.check(evaluation, RolloutDataModule(tick_skip=4))
    Curriculum([Stage("1v1")]).check(Evaluation(interval=None, anchors=[file]), RolloutDataModule(tick_skip=4))
