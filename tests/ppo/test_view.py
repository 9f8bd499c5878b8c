"""What the networks see of the ball close up, by hand, and that acting and learning see the same."""

import numpy as np
import pytest
import torch
from small_fit import trainer

from rlbot.game.env import RocketSimVectorEnv
from rlbot.game.mirror import mirrored
from rlbot.game.starts import RandomStart
from rlbot.league.frozen import FrozenPolicy
from rlbot.ppo.acting import Acting
from rlbot.ppo.module import PPO
from rlbot.ppo.rollout import Rollout
from rlbot.ppo.view import View, seen_close_up


def world(ball, car, forward, up, velocity=(0, 0, 0)):
    """The 180 numbers (1, 180) of a car and a ball, in uu and uu/s; all the rest is 0."""
    numbers = np.zeros((1, 180), np.float32)
    ball, car, forward, up = (np.array(v, float) for v in (ball, car, forward, up))
    axes = np.stack([forward, np.cross(up, forward), up])
    numbers[0, 0:3] = ball / [4096, 6000, 2044]
    numbers[0, 54:57] = np.array(velocity) / 2300
    numbers[0, 60:63], numbers[0, 63:66] = forward, up
    numbers[0, 66:69] = axes @ (ball - car) / 5120
    return torch.from_numpy(numbers)


def test_ball_ahead_of_a_car_that_drives_at_the_goal():
    seen = seen_close_up(world((0, 0, 93), (0, -400, 93), (0, 1, 0), (0, 0, 1), velocity=(0, 1150, 0)))
    toward, near, aim, speed = seen[0].reshape(4, 3).tolist()
    assert toward == pytest.approx([1, 0, 0])
    assert near == pytest.approx([np.tanh(1), 0, 0], abs=1e-6)
    assert aim == pytest.approx([1, 0, 0], abs=1e-3)
    assert speed == pytest.approx([0.5, 0, 0])


def test_ball_to_the_right_of_a_car_that_drives_along_x():
    """RocketSim's frame is left-handed: +y, where the goal is too, is to the right of a car that faces +x."""
    seen = seen_close_up(world((1000, 100, 17), (1000, 0, 17), (1, 0, 0), (0, 0, 1), velocity=(-230, 0, 23)))
    toward, near, aim, speed = seen[0].reshape(4, 3).tolist()
    assert toward == pytest.approx([0, 1, 0])
    assert near == pytest.approx([0, np.tanh(0.25), 0])
    way = np.array([-1000, 5020, 91.25 - 17])
    assert aim == pytest.approx((way / np.linalg.norm(way)).tolist(), abs=1e-3)
    assert speed == pytest.approx([-0.1, 0, 0.01])


def test_car_in_the_ball_sees_finite_numbers():
    assert torch.isfinite(seen_close_up(torch.zeros(2, 180))).all()


def test_numbers_of_real_arenas_stay_within_one():
    env = RocketSimVectorEnv(8, "1v1", None, starts=[RandomStart()])
    observations, _ = env.reset(seed=1)
    for _ in range(40):
        seen = seen_close_up(torch.from_numpy(observations))
        assert seen.abs().max() <= 1.0001
        np.testing.assert_allclose(seen[:, :3].norm(dim=1), 1, atol=1e-3)
        observations, *_ = env.step(env.action_space.sample())


def test_view_of_the_mirrored_world_is_the_same():
    env = RocketSimVectorEnv(16, "1v1", None, starts=[RandomStart()])
    here, _ = env.reset(seed=2)
    view = View(180, canonical=True, close_up=True)
    (one, sides), (other, others) = view(torch.from_numpy(here)), view(torch.from_numpy(mirrored(here)))
    assert (one.shape, view.size) == ((32, 192), 192)
    assert torch.equal(one, other)
    aside = here[:, 51] != 0
    assert torch.equal(sides[aside], 1 - others[aside])


def test_without_either_the_observation_itself_is_seen():
    observations = torch.randn(3, 7)
    numbers, sides = View(7)(observations)
    assert numbers is observations
    assert sides is None


def test_policy_from_a_file_sees_the_ball_close_up(tmp_path):
    torch.manual_seed(1)
    module = PPO(hidden_sizes=(16,), close_up=True)
    torch.nn.init.normal_(module.policy.actor[-1].weight)
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, tmp_path / "close.ckpt")
    here = np.random.default_rng(1).normal(size=(64, 180)).astype(np.float32)
    rows = module.policy.actor(module.policy.view(torch.from_numpy(here)).numbers).argmax(-1)
    acted = Acting(module.policy).outputs(here).numbers.argmax(-1)
    assert torch.equal(acted, rows)
    played = FrozenPolicy.load(tmp_path / "close.ckpt", deterministic=True)(
        here[:, None], np.zeros((64, 1), np.float32)
    )
    assert np.array_equal(played[:, 0], module.policy.head.to_env(rows))


@torch.no_grad()
@pytest.mark.parametrize("symmetry", [None, "canonical"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_samples_to_learn_from_are_what_acting_saw_and_chose(symmetry, precision):
    torch.manual_seed(1)
    module = PPO(hidden_sizes=(16,), symmetry=symmetry, close_up=True)
    torch.nn.init.normal_(module.policy.actor[-1].weight)
    module.trainer = trainer(precision=precision)
    here = np.random.default_rng(1).normal(size=(64, 180)).astype(np.float32)
    actions, log_probs = Acting(module.policy, precision == "bf16-mixed")(here, torch.Generator().manual_seed(1))
    observations, nothing = torch.from_numpy(here).view(32, 2, 180), torch.zeros(32, 2, dtype=torch.bool)
    rewards, all_valid = torch.randn(32, 2), torch.ones(32, 2, dtype=torch.bool)
    rollout = Rollout(
        observations, actions.view(32, 2), log_probs.view(32, 2), rewards, nothing, nothing, all_valid, observations[0]
    )
    batch = module.prepare(rollout, 64)
    assert batch["observations"].shape == (64, 192)
    with module.trainer.precision_plugin.forward_context():
        now = module.policy.evaluate(batch["observations"], batch["actions"])
    torch.testing.assert_close(now.log_probs, batch["log_probs"])
    torch.testing.assert_close(now.values, batch["values"])


def test_close_up_needs_the_180_numbers():
    with pytest.raises(ValueError, match=r"close_up=True \(false for 90 numbers"):
        PPO(observation_size=90, close_up=True)
