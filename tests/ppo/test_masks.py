"""Rows that can do nothing are never drawn, the others share what they had, and no number breaks."""

import numpy as np
import pytest
import torch

from rlbot.game.actions import TABLE
from rlbot.game.mirror import mirrored
from rlbot.league.frozen import FrozenPolicy
from rlbot.ppo.acting import Acting
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import TableHead
from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import ArenaStart

HEIGHT, BOOST, GROUND, FLIP = 53, 72, 73, 74
JUMPS, BOOSTS = TABLE[:, 5] > 0, TABLE[:, 6] > 0
TURNS = ((TABLE[:, 2] != 0) | (TABLE[:, 4] != 0)) & ~JUMPS
CASES = [  # height, boost, on ground, has flip, what is blocked with mask and with mask_on_ground too
    ((0.01, 0.5, 1, 1), [], [TURNS]),
    ((0.01, 0.0, 1, 1), [BOOSTS], [BOOSTS, TURNS]),
    ((0.5, 0.5, 0, 1), [], []),
    ((0.5, 0.5, 0, 0), [JUMPS], [JUMPS]),
    ((0.5, 0.0, 0, 0), [JUMPS, BOOSTS], [JUMPS, BOOSTS]),
    ((0.02, 0.5, 0, 0), [], []),  # on its roof
    ((0.07, 0.01, 0, 0), [JUMPS], [JUMPS]),  # too high for that, with a little boost
    ((0.5, 0.5, 1, 0), [], [TURNS]),  # on a wall
]


def masked(on_ground=False, symmetry=None):
    torch.manual_seed(1)
    return PPO(head=TableHead(mask=True, mask_on_ground=on_ground), hidden_sizes=(16,), symmetry=symmetry)


def cars(count=60):
    """Each of the cases in turn."""
    seen = np.random.default_rng(1).normal(size=(count, 180)).astype(np.float32)
    for k in range(count):
        seen[k, [HEIGHT, BOOST, GROUND, FLIP]] = CASES[k % len(CASES)][0]
    return seen


@torch.no_grad()
@pytest.mark.parametrize("on_ground", [False, True])
def test_blocked_rows_have_no_probability_and_the_others_keep_their_proportions(on_ground):
    module, seen = masked(on_ground), torch.from_numpy(cars())
    found, free = module.policy.outputs(seen).numbers.softmax(-1), module.policy.actor(seen).softmax(-1)
    for k in range(len(CASES)):
        allowed = torch.from_numpy(~np.any([np.zeros(90, bool), *CASES[k][1 + on_ground]], axis=0))
        assert torch.equal(found[k] > 0, allowed)
        torch.testing.assert_close(found[k], free[k] * allowed / (free[k] * allowed).sum())


def evaluated(policy, world, actions):
    seen, sides = policy.view(torch.from_numpy(world))
    return policy.evaluate(seen, policy.head.mirrored(actions, sides))


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("symmetry", [None, "canonical"])
def test_acting_draws_only_what_is_left_and_learning_agrees(symmetry, bfloat16):
    policy, seen = masked(True, symmetry).policy, cars(600)
    actions, log_probs = Acting(policy, bfloat16)(seen, torch.Generator().manual_seed(1))
    actions, rows = actions.clone(), TABLE[actions]  # no inference tensor any more
    assert rows[seen[:, BOOST] == 0, 6].max() == 0
    assert rows[(seen[:, FLIP] == 0) & (seen[:, GROUND] == 0) & (seen[:, HEIGHT] > 0.4), 5].max() == 0
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        now = evaluated(policy, seen, actions)
    torch.testing.assert_close(now.log_probs, log_probs)
    (now.entropy.mean() + now.log_probs.mean()).backward()
    assert all(p.grad.isfinite().all() for p in policy.actor.parameters())
    if symmetry:
        there = policy.head.mirrored(actions, torch.ones_like(actions))
        other = evaluated(policy, mirrored(seen), there)
        torch.testing.assert_close(other.log_probs, evaluated(policy, seen, actions).log_probs)


def test_entropy_of_a_new_policy_is_that_of_the_rows_left():
    now = masked().policy.evaluate(torch.from_numpy(cars()[4:5]), torch.zeros(1, dtype=torch.int64))
    assert now.entropy.item() == pytest.approx(np.log(90 - (JUMPS | BOOSTS).sum()), abs=0.01)


def test_opponent_from_a_file_is_masked_too(tmp_path):
    module, seen = masked(), np.repeat(cars()[4:5], 2000, axis=0)
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, tmp_path / "masked.ckpt")
    noise = np.random.default_rng(1).random((2000, 1), np.float32)
    controls = FrozenPolicy.load(tmp_path / "masked.ckpt")(seen[:, None], noise)
    assert controls[..., 5:7].max() == 0


def test_mask_needs_the_numbers_it_reads():
    with pytest.raises(ValueError, match="mask"):
        PPO(90, TableHead(mask=True))


def test_car_on_its_roof_is_low_enough_to_be_left_the_jump_that_turns_it_over():
    arenas = ArenaBatch([np.random.default_rng(1)], 1, 0)
    ball, zero = np.array([0, 3000.0, 100]), np.zeros((1, 3))
    start = ArenaStart(ball, zero[0], zero[0], np.array([[0, 0, 60.0]]), np.array([[0, 0, np.pi]]), zero, zero, [0])
    state, jump = arenas.reset([(0, start)]), np.zeros((1, 1, 8), np.float32)
    for _ in range(40):
        state = arenas.step(np.zeros_like(jump))
    assert (state.cars.up[0, 0, 2] < -0.9, bool(state.cars.on_ground[0, 0])) == (True, False)
    assert state.cars.position[0, 0, 2] < 2044 / 16
    jump[..., 5] = 1
    for _ in range(15):
        state = arenas.step(jump)
    assert state.cars.up[0, 0, 2] > 0.5
