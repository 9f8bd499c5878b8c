"""A mirrored world: real physics go the mirrored way, and its observation is the mirrored observation."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.game.actions import TABLE
from rlbot.game.mirror import CONTROL_SIGNS, OBSERVATION_ORDER, OWN_SIDE, ROW_ORDER, mirrored
from rlbot.game.observations import DefaultObservation, others_in_order
from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import PAD_POSITIONS, ArenaStart

VECTORS = ("position", "velocity", "forward", "up")
X, SPIN = np.float32([-1, 1, 1]), np.float32([1, -1, -1])


def observe(state):
    """(A, C, 180)."""
    order = others_in_order(state.cars.team)
    return DefaultObservation()(state, np.broadcast_to(order, (len(state.pads), *order.shape)))


def reflected(state):
    """The state as a mirror at x = 0 shows it, field by field."""
    cars, ball, place = state.cars, state.ball, PAD_POSITIONS.tolist()
    changes = {name: getattr(cars, name) * X for name in VECTORS}
    changes |= {"right": -cars.right * X, "angular_velocity": cars.angular_velocity * SPIN}
    steered = cars.controls * np.float32([1, -1, 1, -1, -1, 1, 1, 1])
    return dataclasses.replace(
        state,
        ball=dataclasses.replace(
            ball, position=ball.position * X, velocity=ball.velocity * X, angular_velocity=ball.angular_velocity * SPIN
        ),
        cars=dataclasses.replace(cars, controls=steered, **changes),
        pads=state.pads[:, [place.index([-x, y]) for x, y in place]],
    )


def two_worlds():
    """A random opening in arena 0 and its mirror image in arena 1, with boost, in the air and on the ground."""
    rng = np.random.default_rng(3)
    angles = np.array([[0.4, 0, 0], [-2.0, 0.3, 0.8], [2.5, 0, 0], [-1.0, -0.4, -1.2]])
    height = np.array([17.01, 700, 17.01, 900])
    vectors = {
        "ball_position": np.array([300.0, 200, 500]),
        "ball_velocity": rng.normal(0, 400, 3),
        "car_position": np.c_[rng.uniform(-2000, 2000, 4), [-3000, -1500, 1500, 3000], height],
        "car_velocity": rng.normal(0, 300, (4, 3)) * [[1, 1, 0], [1, 1, 1], [1, 1, 0], [1, 1, 1]],
    }
    spins = {"ball_angular_velocity": rng.normal(0, 2, 3), "car_angular_velocity": np.zeros((4, 3))}
    here = ArenaStart(**vectors, **spins, car_yaw_pitch_roll=angles, car_boost=np.full(4, 50.0))
    there = ArenaStart(
        **{name: value * X for name, value in vectors.items()},
        **{name: value * SPIN for name, value in spins.items()},
        car_yaw_pitch_roll=angles * [-1, 1, -1] + [np.pi, 0, 0],
        car_boost=np.full(4, 50.0),
    )
    return enumerate((here, there))


def test_physics_go_the_mirrored_way_and_are_seen_the_mirrored_way():
    arenas = ArenaBatch([np.random.default_rng(k) for k in (1, 2)], 2, 2)
    state, rng = arenas.reset(two_worlds()), np.random.default_rng(5)
    for step in range(45):
        here, there = observe(state)
        assert_allclose(there, mirrored(here), atol=2e-3, err_msg=f"after {step} steps")
        if step % 4 == 0:
            rows = rng.integers(90, size=4)
        state = arenas.step(np.stack((TABLE[rows], TABLE[ROW_ORDER[rows]])))
    assert np.abs(observe(state)[0] - observe(state)[1]).max() > 0.5  # the worlds are not the same one
    assert (state.cars.boost < 50).any()


@pytest.mark.parametrize(("blue", "orange"), [(1, 1), (1, 2), (2, 2), (3, 3)])
def test_observation_of_a_reflected_state_is_the_mirrored_observation(any_state, blue, orange):
    state = any_state(blue, orange)
    seen = observe(state)
    assert_allclose(mirrored(seen), observe(reflected(state)), atol=1e-6)
    assert_array_equal(mirrored(mirrored(seen)), seen)
    assert (mirrored(seen) != seen)[..., [0, 67, 117]].all()


def test_side_of_the_field_is_that_of_the_team_view(make_state):
    seen = observe(make_state(position=[(512, 0, 17), (512, 0, 17)]))
    assert seen[0, 0, OWN_SIDE] > 0 > seen[0, 1, OWN_SIDE]


def test_rows_are_mirrored_by_steer_yaw_and_roll():
    assert_array_equal(TABLE[ROW_ORDER], TABLE * CONTROL_SIGNS)
    assert_array_equal(ROW_ORDER[ROW_ORDER], np.arange(90))
    assert TABLE[0].tolist() == [-1, -1, 0, -1, 0, 0, 0, 0]
    assert TABLE[ROW_ORDER[0]].tolist() == [-1, 1, 0, 1, 0, 0, 0, 0]
    assert (np.arange(90) == ROW_ORDER).sum() == 8 + 10  # steer 0 on the ground; pitch, jump and boost alone


def test_pads_are_exchanged_across_the_field():
    assert (OBSERVATION_ORDER[[9, 10, 11, 24, 27]] - 9).tolist() == [0, 2, 1, 18, 15]
