"""The field's constants against RocketSim's own, and the half turn that makes the team view."""

import numpy as np
import RocketSim
from numpy.testing import assert_array_equal

from rlbot.sim.state import BALL_RADIUS, HALF_TURN, NUM_PADS, PAD_IS_BIG, PAD_POSITIONS


def test_the_pads_are_rocketsims_in_its_order(make_arenas):
    arenas = make_arenas()  # pads of an arena that is gone read freed memory
    pads = arenas._arenas[0].get_boost_pads()
    assert len(pads) == NUM_PADS == 34
    assert_array_equal(PAD_POSITIONS, [pad.get_pos().as_tuple()[:2] for pad in pads])
    assert_array_equal(PAD_IS_BIG, [pad.is_big for pad in pads])


def test_the_ball_has_rocketsims_radius(make_arenas):
    arenas = make_arenas()
    assert arenas._arenas[0].ball.get_radius() == BALL_RADIUS == 91.25


def test_a_half_turn_is_a_turn_by_180_degrees_about_z():
    turned = RocketSim.Angle(np.pi, 0, 0).as_rot_mat().as_numpy() @ np.array([1, 2, 3], np.float32)
    np.testing.assert_allclose(HALF_TURN * [1, 2, 3], turned, atol=1e-6)


def test_blue_cars_keep_their_view_and_orange_ones_are_turned(make_arenas, opening):
    places = [(-500, -3000, 17), (500, 3000, 17), (800, 3000, 17)]
    cars = make_arenas(orange=2).reset([(0, opening(places))]).cars
    assert_array_equal(cars.team, [0, 1, 1])
    assert_array_equal(cars.turn, [[1, 1, 1], [-1, -1, 1], [-1, -1, 1]])


def test_a_part_of_a_state_holds_the_arenas_in_the_order_they_are_named_in(make_arenas, opening, snapshot):
    arenas = make_arenas(num_arenas=3)
    state = arenas.reset([(i, opening(boost=10 * i, ball=(0, 0, 100 + i))) for i in range(3)])
    part = state.of([2, 0])
    assert part.ball.position[:, 2].tolist() == [102, 100]
    assert part.cars.boost.tolist() == [[20, 20], [0, 0]]
    for rows, every in zip(snapshot(part), snapshot(state), strict=True):
        assert_array_equal(rows, every if len(every) == 2 else every[[2, 0]])  # 2: the teams of the cars
