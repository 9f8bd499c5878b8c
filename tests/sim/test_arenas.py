"""ArenaBatch against RocketSim itself: what controls do, what is read back, clocks, pads, touches, goals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.game.actions import TABLE

STEP = 8 / 120
THROTTLE, STEER, JUMP, BOOST, HANDBRAKE = 0, 1, 5, 6, 7


def drive(arenas, steps, **controls):
    """Hold one control of the first car of every arena; every state on the way."""
    rows = np.zeros((len(arenas), arenas.num_cars, 8), np.float32)
    for name, value in controls.items():
        rows[:, 0, globals()[name.upper()]] = value
    return [arenas.step(rows) for _ in range(steps)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_controls_that_are_no_numbers_are_refused(bad, make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening())])
    with pytest.raises(ValueError, match="NaN or infinity"):
        drive(arenas, 1, steer=bad)


@pytest.mark.parametrize("shape", [(1, 2, 7), (1, 1, 8), (2, 2, 8), (2, 8)])
def test_controls_of_another_shape_are_refused(shape, make_arenas):
    with pytest.raises(ValueError, match=r"expected \(1, 2, 8\)"):
        make_arenas().step(np.zeros(shape, np.float32))


@pytest.mark.parametrize(("value", "on"), [(1, True), (0.01, True), (0, False), (-0.01, False), (-1, False)])
def test_jump_boost_and_handbrake_are_on_only_above_zero(value, on, make_arenas, opening):
    arenas = make_arenas(num_arenas=3)
    arenas.reset([(i, opening()) for i in range(3)])
    rows = np.zeros((3, 2, 8), np.float32)
    for arena, column in enumerate((JUMP, BOOST, HANDBRAKE)):
        rows[arena, 0, column] = value
    state = [arenas.step(rows) for _ in range(3)][-1]
    handbrakes = [arenas._cars[i][0].get_state().handbrake_val > 0 for i in range(3)]
    assert (state.cars.position[:, 0, 2] > 50).tolist() == [on, False, False]
    assert (state.cars.boost[:, 0] < 50).tolist() == [False, on, False]
    assert handbrakes == [False, False, on]
    assert_array_equal(state.cars.controls[:, 0, 5:], np.eye(3) * on)


def test_throttle_goes_ahead_and_steer_to_the_right(make_arenas, opening):
    arenas = make_arenas()
    before = arenas.reset([(0, opening())])
    after = drive(arenas, 10, throttle=1, steer=0.5)[-1]
    moved = after.cars.position[0, 0] - before.cars.position[0, 0]
    assert moved @ before.cars.forward[0, 0] > 100
    assert moved @ before.cars.right[0, 0] > 10
    assert_array_equal(after.cars.controls[0], [[1, 0.5, 0, 0, 0, 0, 0, 0], np.zeros(8)])


def test_controls_beyond_the_box_are_clipped(make_arenas, opening, snapshot):
    arenas = make_arenas(num_arenas=2)
    arenas.reset([(i, opening()) for i in range(2)])
    rows = np.zeros((2, 2, 8), np.float32)
    rows[:, 0, STEER] = -1, -7
    rows[:, 0, THROTTLE] = 1, 3
    for array in snapshot([arenas.step(rows) for _ in range(20)][-1]):
        if len(array) == 2 and array.shape != (2,):
            assert_array_equal(array[0], array[1])


def test_a_reset_puts_everything_where_the_opening_says(make_arenas, opening):
    start = opening(cars=((-500, -3000, 600), (500, 3000, 17)), ball=(100, 200, 300), ball_velocity=(1, 2, 3), boost=70)
    start.ball_angular_velocity[:] = 1, 2, 3
    start.car_velocity[0], start.car_angular_velocity[0] = (10, 20, 30), (0.1, 0.2, 0.3)
    start.car_yaw_pitch_roll[0] = 0, np.pi / 2, 0  # nose up
    state = make_arenas().reset([(0, start)])
    ball, cars = state.ball, state.cars
    assert_allclose(
        [ball.position[0], ball.velocity[0], ball.angular_velocity[0]], [[100, 200, 300], [1, 2, 3], [1, 2, 3]]
    )
    assert_allclose(cars.position[0], [[-500, -3000, 600], [500, 3000, 17]])
    assert_allclose(cars.velocity[0], [[10, 20, 30], [0, 0, 0]])
    assert_allclose(cars.angular_velocity[0], [[0.1, 0.2, 0.3], [0, 0, 0]])
    assert_allclose(cars.forward[0], [[0, 0, 1], [0, 1, 0]], atol=1e-6)
    assert_allclose(cars.up[0], [[-1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert_allclose(cars.right[0], [[0, 1, 0], [-1, 0, 0]], atol=1e-6)
    assert_allclose(cars.boost[0], [70, 70])


def test_a_car_that_begins_in_the_air_is_not_on_the_ground(make_arenas, opening):
    state = make_arenas().reset([(0, opening(cars=((-500, -3000, 1000), (500, 3000, 17))))])
    assert state.cars.on_ground.tolist() == [[False, True]]
    assert state.cars.has_flip.all()


def test_the_flip_is_spent_by_two_jumps_and_back_on_the_ground(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening())])
    held = drive(arenas, 2, jump=1) + drive(arenas, 2) + drive(arenas, 2, jump=1)
    assert [bool(state.cars.has_flip[0, 0]) for state in held] == [True] * 4 + [False] * 2
    assert not held[-1].cars.on_ground[0, 0]
    assert drive(arenas, 60)[-1].cars.has_flip[0, 0]


def test_every_car_keeps_its_place_and_its_team(make_arenas, opening):
    arenas = make_arenas(num_arenas=8, blue=2, orange=2)
    cars = [(-900, -3000, 17), (900, -3000, 17), (-900, 3000, 17), (900, 3000, 17)]
    arenas.reset([(i, opening(cars)) for i in range(8)])
    rng = np.random.default_rng(0)
    for _ in range(60):
        state = arenas.step(TABLE[rng.integers(90, size=(8, 4))])
        truth = [[car.get_state().pos.as_tuple() for car in cars] for cars in arenas._cars]
        assert_array_equal(state.cars.position, np.array(truth, np.float32))
    assert [int(car.team) for car in arenas._cars[3]] == state.cars.team.tolist() == [0, 0, 1, 1]


def test_cars_that_the_binding_lists_in_another_order_are_sorted(make_arenas, opening):
    arenas = make_arenas(blue=2, orange=1)
    before = arenas.reset([(0, opening(((-900, -3000, 17), (900, -3000, 17), (0, 3000, 17))))])
    game, pads, ball, *cars = arenas._arenas[0].get_gym_state()
    arenas._store(slice(None), [(game, pads, ball, cars[2], cars[0], cars[1])])
    assert_array_equal(arenas._car[..., 11:14], before.cars.position)


def test_a_goal_counts_once_for_the_team_that_attacks_that_side(make_arenas, opening):
    arenas = make_arenas(num_arenas=3)
    shots = [((0, 4800, 200), (0, 3000, 0)), ((0, -4800, 200), (0, -3000, 0)), ((0, 0, 93.15), (0, 0, 0))]
    arenas.reset([(i, opening(ball=ball, ball_velocity=speed)) for i, (ball, speed) in enumerate(shots)])
    goals = [state.goal.tolist() for state in drive(arenas, 10)]
    assert [goal for goal in goals if any(goal)] == [[1, -1, 0]]


def test_only_the_car_that_hits_the_ball_touches_it(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening(cars=((500, -400, 17), (-500, 3000, 17)), ball=(500, 0, 93.15), speeds=[1500, 0]))])
    states = drive(arenas, 10)
    touched = np.array([state.cars.touched[0] for state in states])
    since = np.array([state.seconds_since_touch[0] for state in states])
    first = touched[:, 0].argmax()
    assert 0 < first < 5
    assert not touched[:, 1].any()
    assert_allclose(since[:first], STEP * np.arange(1, first + 1), rtol=1e-5)
    assert since[first] == 0
    assert_allclose(since[-1], STEP * (9 - np.flatnonzero(touched[:, 0])[-1]), rtol=1e-5)


def test_a_touch_is_not_told_again_while_the_arena_stands_still(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening(cars=((500, -400, 17), (-500, 3000, 17)), ball=(500, 0, 93.15), speeds=[1500, 0]))])
    while not drive(arenas, 1)[0].cars.touched[0, 0]:
        pass
    assert not arenas.step(np.zeros((1, 2, 8), np.float32), np.array([False])).cars.touched.any()


def test_a_state_knows_the_ball_and_the_boost_before_its_step(make_arenas, opening):
    arenas = make_arenas(num_arenas=2)
    state = arenas.reset([(i, opening(ball=(0, 0, 500), ball_velocity=(9, 0, 0))) for i in range(2)])
    for active in (None, np.array([True, False]), None):
        before, rows = state, np.zeros((2, 2, 8), np.float32)
        rows[:, 0, BOOST] = 1
        state = arenas.step(rows, active)
        assert_array_equal(state.ball.velocity_before, before.ball.velocity)
        assert_array_equal(state.cars.boost_before, before.cars.boost)
        assert (state.ball.velocity[:, 2] < before.ball.velocity[:, 2]).tolist() == [True, active is None]
    begun = arenas.reset([(0, opening())])
    assert_array_equal(begun.ball.velocity_before, begun.ball.velocity)
    assert_array_equal(begun.cars.boost_before, begun.cars.boost)


def test_the_boost_of_a_respawn_is_not_counted_as_gained(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening(cars=((0, -400, 17), (0, 0, 17)), ball=(3000, 0, 93.15), speeds=[2300, 0], boost=5))])
    states = drive(arenas, 60, throttle=1, boost=1)
    gone = np.array([state.cars.demolished[0, 1] for state in states])
    back = 1 + np.flatnonzero(gone)[-1]
    assert gone.any()
    assert_allclose(states[back].cars.boost[0, 1], 100 / 3, rtol=1e-5)
    assert states[back].cars.boost_before[0, 1] == states[back].cars.boost[0, 1]


def test_a_shot_is_counted_in_one_step_for_the_car_that_shot(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening(cars=((0, 3200, 17), (3000, -3000, 17)), ball=(0, 3500, 93.15), speeds=[2000, 0]))])
    states = drive(arenas, 20)
    assert sum(state.cars.shots for state in states).tolist() == [[1, 0]]
    assert sum(state.goal for state in states).tolist() == [1]


@pytest.mark.parametrize("tick_skip", [1, 8, 12])
def test_clocks_count_game_seconds_from_the_reset_on(tick_skip, make_arenas, opening):
    arenas = make_arenas(tick_skip=tick_skip)
    for _ in range(2):
        state = arenas.reset([(0, opening())])
        assert [state.seconds[0], state.seconds_since_touch[0]] == [0, 0]
        state = drive(arenas, 5)[-1]
        assert_allclose([state.seconds[0], state.seconds_since_touch[0]], 5 * tick_skip / 120, rtol=1e-5)


@pytest.mark.parametrize(("pad", "seconds"), [(15, 10), (7, 4)], ids=["big", "small"])
def test_a_taken_pad_counts_down_from_one_to_ready(pad, seconds, make_arenas, opening):
    place = {15: (-3584, 0, 17), 7: (0, -2816, 17)}[pad]
    arenas = make_arenas()
    on_the_pad = opening(cars=(place, (500, 3000, 17)), boost=90)
    assert not arenas.reset([(0, on_the_pad)]).pads.any()
    shares = [state.pads[0, pad] for state in drive(arenas, seconds * 15 + 2)]
    assert_allclose(shares[:-2], 1 - np.arange(seconds * 15) * STEP / seconds, atol=1e-3)
    assert_allclose(shares[-2:], 0, atol=1e-3)
    arenas.reset([(0, on_the_pad)])
    taken = drive(arenas, 2)[-1]
    assert (taken.cars.boost[0, 0], taken.pads[0, pad] > 0.9) == (100, True)
    arenas.reset([(0, opening())])
    assert not drive(arenas, 1)[-1].pads.any()


def test_a_pad_taken_again_at_once_counts_down_anew(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening(cars=((0, -2816, 17), (500, 3000, 17)), boost=0))])
    states = drive(arenas, 200)  # a car that waits on the pad gets 12 at 0, 4, 8 and 12 s
    boost = np.array([0, *(state.cars.boost[0, 0] for state in states)])
    taken = np.flatnonzero(np.diff(boost) > 0)
    assert len(taken) == 4
    assert_allclose([states[step].pads[0, 7] for step in taken], 1, atol=0.02)


def test_arenas_that_are_not_active_stand_still(make_arenas, opening, snapshot):
    arenas = make_arenas(num_arenas=2)
    arenas.reset([(i, opening(speeds=[500, 0])) for i in range(2)])
    before = drive(arenas, 3)[-1]
    after = [arenas.step(np.zeros((2, 2, 8), np.float32), np.array([True, False])) for _ in range(3)][-1]
    assert after.cars.position[0, 0, 1] > before.cars.position[0, 0, 1] + 50
    assert_allclose(after.seconds, [6 * STEP, 3 * STEP], rtol=1e-5)
    for old, new in zip(snapshot(before), snapshot(after), strict=True):
        if old.shape[0] == 2 and old.shape != (2,):
            assert_array_equal(old[1], new[1])
    resumed = drive(arenas, 3)[-1]
    assert_array_equal(resumed.cars.position[1], after.cars.position[0])


def test_states_handed_out_never_change(make_arenas, opening, snapshot):
    arenas = make_arenas(num_arenas=2)
    states = [arenas.reset([(i, opening(boost=10)) for i in range(2)])]
    kept = [snapshot(states[0])]
    rng = np.random.default_rng(0)
    for t in range(20):
        active = np.array([True, t % 3 > 0])
        states.append(arenas.step(TABLE[rng.integers(90, size=(2, 2))], None if t % 2 else active))
        kept.append(snapshot(states[-1]))
        if t % 5 == 4:
            states.append(arenas.reset([(t % 2, opening())]))
            kept.append(snapshot(states[-1]))
    for state, copies in zip(states, kept, strict=True):
        for now, then in zip(snapshot(state), copies, strict=True):
            assert_array_equal(now, then)
