"""The 180 numbers: worked by hand, turned for orange, in their slots, and all of them used."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.game.observations import SIZE, DefaultObservation, others_in_order, shuffled_others
from rlbot.sim.state import PAD_POSITIONS

MODES = [(1, 1), (1, 2), (2, 2), (3, 3), (2, 1)]


def observe(state, order=None):
    """(C, 180) of the only arena."""
    order = others_in_order(state.cars.team) if order is None else order
    return DefaultObservation()(state, order[None])[0]


@pytest.fixture
def duel(make_state):
    """Blue drives toward +y behind the ball, orange toward -y beyond it."""
    return make_state(
        ball_position=(2048, 3000, 1022),
        ball_velocity=(3000, -1500, 600),
        ball_angular_velocity=(3, -6, 1.5),
        position=[(-1024, -1500, 511), (512, 3000, 204.4)],
        velocity=[(1150, -230, 460), (0, -2300, 0)],
        angular_velocity=[(1.1, 2.75, -5.5), (0, 0, 5.5)],
        forward=[(0, 1, 0), (0, -1, 0)],
        right=[(-1, 0, 0), (1, 0, 0)],
        boost=[30, 100],
        on_ground=[True, False],
        has_flip=[False, True],
        demolished=[False, True],
        controls=[[1, -1, 0.5, 0.25, -0.5, 1, 0, 1], [0.1] * 8],
        pads=np.arange(34) / 100,
    )


def test_the_ball_as_each_team_sees_it(duel):
    blue, orange = observe(duel)[:, 0:9]
    assert_allclose(blue, [0.5, 0.5, 0.5, 0.5, -0.25, 0.1, 0.5, -1, 0.25], rtol=1e-6)
    assert_allclose(orange, [-0.5, -0.5, 0.5, -0.5, 0.25, 0.1, -0.5, 1, 0.25], rtol=1e-6)


def test_the_pads_as_each_team_sees_them(duel):
    blue, orange = observe(duel)[:, 9:43]
    assert_allclose(blue, np.arange(34) / 100)
    here = PAD_POSITIONS.tolist()
    assert_allclose(orange, [here.index([-x, -y]) / 100 for x, y in here])
    assert_allclose(orange[[0, 3, 15, 18, 33]], [0.33, 0.30, 0.18, 0.15, 0])


def test_the_last_controls_are_the_cars_own(duel):
    blue, orange = observe(duel)[:, 43:51]
    assert blue.tolist() == [1, -1, 0.5, 0.25, -0.5, 1, 0, 1]
    assert_allclose(orange, [0.1] * 8)


def test_the_own_car_as_each_team_sees_it(duel):
    blue, orange = observe(duel)[:, 51:66]
    motion = [-0.25, -0.25, 0.25, 0.5, -0.1, 0.2, 0.2, 0.5, -1]
    assert_allclose(blue, [*motion, 0, 1, 0, 0, 0, 1], rtol=1e-6)
    assert_allclose(orange, [-0.125, -0.5, 0.1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1], rtol=1e-6)


def test_the_ball_in_the_own_cars_frame(duel):
    blue, orange = observe(duel)[:, 66:72]
    # Ball minus car: blue (3072, 4500, 511) and (1850, -1270, 140), orange (1536, 0, 817.6) and (3000, 800, 600).
    assert_allclose(blue[:3], [4500 / 5120, -0.6, 511 / 5120], rtol=1e-6)
    assert_allclose(blue[3:], [-1270 / 6000, -1850 / 6000, 140 / 6000], rtol=1e-6)
    assert_allclose(orange, [0, 0.3, 817.6 / 5120, -800 / 6000, 0.5, 0.1], rtol=1e-6)


def test_the_own_cars_state(duel):
    assert_allclose(observe(duel)[:, 72:75], [[0.3, 1, 0], [1, 0, 1]])


def test_the_opponent_as_each_team_sees_it(duel):
    blue, orange = observe(duel)[:, 75 + 2 * 21 : 75 + 3 * 21]
    flags = [1, 0, 1, 1, 0, 1]  # boost, on ground, demolished, has flip, teammate, present
    moving = [-0.5, -0.9, -0.2, 0, 0, 1]
    assert_allclose(blue, [0.3, 4500 / 5120, -306.6 / 5120, *moving, 0, -1, 0, 0, 0, 1, *flags], rtol=1e-5)
    flags = [0.3, 1, 0, 0, 0, 1]
    moving = [-0.5, -0.9, 0.2, -0.2, -0.5, -1]
    assert_allclose(orange, [0.3, 4500 / 5120, 306.6 / 5120, *moving, 0, -1, 0, 0, 0, 1, *flags], rtol=1e-5)


@pytest.mark.parametrize(("blue", "orange"), MODES)
def test_orange_sees_exactly_what_blue_sees_in_the_turned_world(blue, orange, any_state, turned):
    for seed in range(20):
        state = any_state(blue, orange, seed)
        other, order = turned(state)
        assert_array_equal(observe(other), observe(state)[order])


@pytest.mark.parametrize(
    ("blue", "orange", "seen"),
    [
        (1, 1, ["..1..", "..0.."]),
        (1, 2, ["..12.", "2.0..", "1.0.."]),
        (2, 2, ["1.23.", "0.23.", "3.01.", "2.01."]),
        (3, 3, ["12345", "02345", "01345", "45012", "35012", "34012"]),
    ],
)
def test_teammates_come_first_and_absent_cars_are_zero(blue, orange, seen, any_state):
    state = any_state(blue, orange)
    slots = observe(state)[:, 75:].reshape(blue + orange, 5, 21)
    for car, row in enumerate(seen):
        for slot, name in enumerate(row):
            if name == ".":
                assert not slots[car, slot].any()
            else:
                assert slots[car, slot, 15] == np.float32(0.01) * state.cars.boost[0, int(name)]
                assert slots[car, slot, 19:].tolist() == [slot < 2, 1]


CHANGES = {  # what a change of each input changes, by index, in what the first car of a 3v3 sees
    "ball.position": (None, [*range(3), 66, 67, 68]),
    "ball.velocity": (None, [3, 4, 5, 69, 70, 71]),
    "ball.angular_velocity": (None, [6, 7, 8]),
    "pads": (None, range(9, 43)),
    "cars.controls": (0, range(43, 51)),
    "cars.position": (0, [51, 52, 53, 66, 67, 68, *(75 + 21 * k + j for k in range(5) for j in range(3))]),
    "cars.velocity": (0, [54, 55, 56, 69, 70, 71, *(78 + 21 * k + j for k in range(5) for j in range(3))]),
    "cars.angular_velocity": (0, [57, 58, 59]),
    "cars.forward": (0, [60, 61, 62, 66, 69]),
    "cars.up": (0, [63, 64, 65, 68, 71]),
    "cars.right": (0, [67, 70]),
    "cars.boost": (0, [72]),
    "cars.on_ground": (0, [73]),
    "cars.has_flip": (0, [74]),
}
OF_ANOTHER = {"position": range(3), "velocity": range(3, 6), "angular_velocity": range(6, 9), "forward": range(9, 12)}
OF_ANOTHER |= {"up": range(12, 15), "boost": [15], "on_ground": [16], "demolished": [17], "has_flip": [18]}


def changed(state, name, car):
    """Which of the first car's 180 numbers differ when this input does."""
    owner, _, field = name.rpartition(".")
    part = getattr(state, owner) if owner else state
    values = getattr(part, field).copy()
    where = (0,) if car is None else (0, car)
    values[where] = ~values[where] if values.dtype == bool else values[where] + 0.5
    other = dataclasses.replace(part, **{field: values})
    return np.flatnonzero(
        observe(dataclasses.replace(state, **{owner: other}) if owner else other)[0] != observe(state)[0]
    )


@pytest.mark.parametrize("name", CHANGES)
def test_each_input_has_its_own_places(name, any_state):
    car, indices = CHANGES[name]
    assert_array_equal(changed(any_state(3, 3), name, car), indices)


@pytest.mark.parametrize("name", OF_ANOTHER)
@pytest.mark.parametrize("car", [1, 2, 3, 4, 5])
def test_each_input_of_another_car_has_its_own_places(name, car, any_state):
    expected = [75 + 21 * (car - 1) + j for j in OF_ANOTHER[name]]
    assert_array_equal(changed(any_state(3, 3), f"cars.{name}", car), expected)


def test_no_number_of_the_180_is_left_unused():
    used = {index for _, indices in CHANGES.values() for index in indices}
    used |= {75 + 21 * k + j for k in range(5) for indices in OF_ANOTHER.values() for j in indices}
    told_by_role = {75 + 21 * k + j for k in range(5) for j in (19, 20)}  # teammate, present
    assert used | told_by_role == set(range(SIZE)) == set(range(180))


def test_shuffling_only_swaps_cars_of_equal_role():
    team, rng = np.array([0, 0, 0, 1, 1, 1]), np.random.default_rng(0)
    seen = {tuple(shuffled_others(team, rng)[4].tolist()) for _ in range(200)}
    assert {mates[:2] for mates in seen} == {(3, 5), (5, 3)}
    assert {rest[2:] for rest in seen} == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}
    assert len(seen) == 12


def test_another_order_moves_whole_slots_and_nothing_else(any_state):
    state = any_state(3, 3)
    order = others_in_order(state.cars.team)
    plain = observe(state, order)
    order[0] = [2, 1, 5, 3, 4]
    mixed = observe(state, order)
    slots = plain[0, 75:].reshape(5, 21)
    assert_array_equal(mixed[0, :75], plain[0, :75])
    assert_array_equal(mixed[0, 75:].reshape(5, 21), slots[[1, 0, 4, 2, 3]])
    assert_array_equal(mixed[1:], plain[1:])


def test_arenas_do_not_mix(any_state):
    states = [any_state(2, 2, seed) for seed in range(3)]

    def joined(parts):
        """Every array of several states of one arena, along the first axis."""
        if isinstance(parts[0], np.ndarray):
            return np.concatenate(parts)
        fields = [f.name for f in dataclasses.fields(parts[0]) if f.name != "team"]
        return dataclasses.replace(parts[0], **{f: joined([getattr(part, f) for part in parts]) for f in fields})

    order = np.stack([shuffled_others(states[0].cars.team, np.random.default_rng(i)) for i in range(3)])
    together = DefaultObservation()(joined(states), order)
    assert together.dtype == np.float32
    assert together.shape == (3, 4, 180)
    for i, state in enumerate(states):
        assert_array_equal(together[i], observe(state, order[i]))
