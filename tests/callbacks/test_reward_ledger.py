"""The ledger of reward terms: returns in TensorBoard, and the warning of a term that is farmed."""

import pytest

from callbacks.reward_ledger import RewardLedger, farmed

RISING = (  # closeness is 1 everywhere, so that the weight is what a step gains
    '--data.rewards=[{"class_path": "rlbot.game.rewards.Goal"}, {"class_path": "rlbot.game.rewards.DistanceToBall", '
    '"init_args": {"weight": 2, "weight_end": 10, "falloff": 1.0e12}}]'
)
WORDS = (RISING, "--reward_ledger.window=128", "--timesteps=512", "--checkpoint.keep=9")  # two iterations are a window


def counted(touch, goals=5, goal=20.0, steps=1000, minutes=10):
    """Totals of an iteration of 1,000 timesteps."""
    gains = {"gain/goal": goal, "gain/touch": touch, "gain/facing": 10.0}
    return {"timesteps": 1000, "goals": goals, "minutes": minutes, "steps": steps, **gains}


def test_farmed_term_is_told_with_its_share_its_returns_and_the_goals():
    lines = farmed(counted(100), counted(170), share=0.8, horizon=100)  # 170 of 200 gained
    assert lines == {
        "touch": "Reward term touch makes 85% of what cars gain. Its return rose from 10 to 17, goals a minute did "
        "not (0.50 to 0.50): lower its weight, or let its weight_end bring it down"
    }


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (counted(100), counted(115)),  # large, but it has not grown by half
        (counted(10), counted(100)),  # grown, but 100 of 130 is not above 0.8
        (counted(100), counted(170, goals=6)),  # goals rise with it
        (counted(100, goal=10), counted(5, goal=900)),  # goals may make any share
        (counted(100), counted(5) | {"gain/concede": 900.0}),  # and so, zero-sum, what they cost the others
    ],
)
def test_other_terms_are_not_told_of(before, now):
    assert farmed(before, now, share=0.8, horizon=100) == {}


def judged(ledger, *touch_and_goals, stage=0):
    """How many lines each iteration brings."""
    return [len(ledger.judge(stage, counted(touch, goals), 100)) for touch, goals in touch_and_goals]


def test_windows_are_judged_as_they_are_filled_and_a_term_is_told_of_once():
    ledger = RewardLedger(window=2000)
    assert judged(ledger, (90, 5), (110, 5), (500, 5)) == [0, 0, 0]  # 200 in the first window
    assert judged(ledger, (1, 5), (500, 5), (1, 5)) == [1, 0, 0]


def test_slow_rise_is_seen_against_the_window_with_most_goals():
    ledger = RewardLedger(window=1000)
    assert judged(ledger, (30, 3), (100, 6), (120, 5), (140, 4), (149, 3)) == [0, 0, 0, 0, 0]
    (line,) = ledger.judge(0, counted(160, 3), 100)
    assert "rose from 10 to 16, goals a minute did not (0.60 to 0.30)" in line


def test_term_that_grows_with_the_goals_is_not_farmed():
    assert not any(judged(RewardLedger(window=1000), (100, 3), (160, 4), (250, 5), (400, 6)))


def test_another_stage_is_judged_anew():
    ledger = RewardLedger(window=1000)
    rising = ((100, 5), (140, 5), (170, 5))
    assert judged(ledger, *rising, stage=0) == [0, 0, 1]
    assert judged(ledger, *rising, stage=1) == [0, 0, 1]
    assert judged(ledger, *rising[::-1], stage=2) == [0, 0, 0]


def test_checkpoint_of_the_ledger_that_compared_quarters_goes_on():
    ledger = RewardLedger(window=1000)
    ledger.load_state_dict({"stage": 1, "warned": ["facing"], "quarters": [counted(100)]})
    assert judged(ledger, (100, 5), (170, 5), stage=1) == [0, 1]


def test_return_of_a_term_is_what_a_step_gains_over_one_minus_gamma(fit, tmp_path):
    logged = fit(tmp_path, "--model.half_life=null", "--model.gamma=0.99", RISING, "--timesteps=128").scalars()
    assert logged["return/distance_to_ball"] == [(64, pytest.approx(200)), (128, pytest.approx(600))]
    assert logged["return/goal"] == [(64, 0), (128, 0)]
    assert not [tag for tag in logged if tag.startswith("gain/")]


def test_run_that_farms_is_warned_once_also_when_it_was_resumed(fit, tmp_path):
    for name in ("straight", "stopped"):
        (tmp_path / name).mkdir()
    straight = fit(tmp_path / "straight", *WORDS)
    saved = tmp_path / "straight/run/checkpoints/timesteps_000000000192.ckpt"
    resumed = fit(tmp_path / "stopped", *WORDS, f"--ckpt_path={saved}")
    for run in (straight, resumed):
        (line,) = [line for line in run.out.splitlines() if line.startswith("[WARN]")]
        assert line.startswith(
            "[WARN] Reward term distance_to_ball makes 100% of what cars gain. Its return rose from 250 to 450, "
        )
    assert straight.load()["callbacks"]["RewardLedger"] == resumed.load()["callbacks"]["RewardLedger"]
    assert straight.load()["callbacks"]["RewardLedger"]["warned"] == ["distance_to_ball"]


@pytest.mark.parametrize("wrong", ["share=1.5", "window=0"])
def test_setting_out_of_range_is_named(fit, tmp_path, wrong):
    run = fit(tmp_path, f"--reward_ledger.{wrong}")
    assert run.code == 2
    assert f"reward_ledger.{wrong}" in run.err
