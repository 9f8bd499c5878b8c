"""An arena's history: the same bit by bit from the same seed, alone or among others, even beside one that breaks."""

import numpy as np
import pytest
import RocketSim
from numpy.testing import assert_array_equal

from rlbot.game.actions import TABLE
from rlbot.game.starts import Kickoff, RandomStart

RAMMED = {"cars": ((0, -600, 17), (0, 0, 17)), "ball": (3000, 3000, 93.15), "speeds": [2290, 0], "boost": 100}


def play(arenas, steps, which, action_seed=9):
    """Random table actions with a reset every 60 steps; the arrays of every step of the arenas ``which``."""
    team, history = arenas.team, []
    for t in range(steps):
        if t % 60 == 0:
            start = Kickoff() if t % 120 == 0 else RandomStart()
            arenas.reset([(i, start(arenas.rngs[i], team)) for i in range(len(arenas))])
        rows = [np.random.default_rng([action_seed, t, i]).integers(90, size=len(team)) for i in which]
        controls = np.zeros((len(arenas), len(team), 8), np.float32)
        controls[: len(which)] = TABLE[np.array(rows)]
        state = arenas.step(controls)
        cars, here = state.cars, slice(0, len(which))
        parts = (state.ball.position, cars.position, cars.velocity, cars.forward, cars.boost, cars.has_flip, state.pads)
        history.append(np.concatenate([part[here].reshape(len(which), -1) for part in parts], axis=1))
    return np.array(history)  # (T, A, numbers)


@pytest.mark.parametrize(("blue", "orange"), [(1, 1), (2, 2)])
def test_the_same_seeds_give_the_same_300_steps(blue, orange, make_arenas):
    first, second = (play(make_arenas(2, blue, orange, seed=3), 300, [0, 1]) for _ in range(2))
    assert_array_equal(first, second)
    other = play(make_arenas(2, blue, orange, seed=4), 1, [0, 1])
    assert not np.array_equal(first[0, 0], other[0, 0])


def test_an_arena_does_not_depend_on_how_many_others_there_are(make_arenas):
    among_others = play(make_arenas(3, 1, 2, seed=3), 130, [0, 1, 2])
    alone = play(make_arenas(1, 1, 2, seed=5), 130, [2])
    assert_array_equal(among_others[:, 2], alone[:, 0])


def until_respawn(arenas, start):
    """Demolish the second car of arena 0 and wait until it is back: steps waited and where it came back."""
    arenas.reset([(0, start)])
    boosting = np.zeros((1, 2, 8), np.float32)
    boosting[0, 0, [0, 6]] = 1
    states = [arenas.step(boosting) for _ in range(70)]
    gone = [t for t, state in enumerate(states) if state.cars.demolished[0, 1]]
    assert sum(state.cars.demos for state in states).tolist() == [[1, 0]]
    return len(gone), states[gone[-1] + 1].cars.position[0, 1].tolist()


def test_a_demolished_car_comes_back_after_three_seconds_where_the_seed_says(make_arenas, opening):
    back = [until_respawn(make_arenas(seed=seed), opening(**RAMMED)) for seed in (1, 1, 2, 3, 4)]
    assert back[0] == back[1]
    assert len({tuple(place) for _, place in back}) > 1
    assert all(44 <= waited <= 46 for waited, _ in back)
    assert all(place[1] > 4000 for _, place in back)  # the orange end


def test_an_arena_that_stands_still_draws_nothing_from_its_stream(make_arenas, opening):
    arenas = make_arenas()
    arenas.reset([(0, opening(**RAMMED))])
    controls = np.zeros((1, 2, 8), np.float32)
    while not 0 < arenas._cars[0][1].get_state().demo_respawn_timer <= arenas.step_seconds:
        state = arenas.step(controls)
    before = arenas.rngs[0].bit_generator.state
    assert state.cars.demolished[0, 1]
    arenas.step(controls, np.array([False]))
    assert arenas.rngs[0].bit_generator.state == before


def spoil(arenas, index, what):
    """Give a body of one arena a position that is no number."""
    body = arenas._arenas[index].ball if what == "ball" else arenas._cars[index][1]
    state = body.get_state()
    state.pos = RocketSim.Vec(float("nan"), 0, 100)
    body.set_state(state)


@pytest.mark.parametrize("what", ["ball", "car"])
def test_a_breakdown_stays_in_its_arena(what, make_arenas, opening):
    healthy, broken = make_arenas(3), make_arenas(3)
    controls = np.tile(TABLE[[20, 23]], (3, 1, 1))
    for arenas in (healthy, broken):
        arenas.reset([(i, opening()) for i in range(3)])
        before = arenas.step(controls)
    spoil(broken, 1, what)
    old = broken._arenas[1]
    good, bad = healthy.step(controls), broken.step(controls)
    assert bad.faulty.tolist() == [False, True, False]
    assert broken._arenas[1] is not old
    assert_array_equal(bad.cars.position[1], before.cars.position[1])
    assert_array_equal(bad.ball.velocity_before[1], bad.ball.velocity[1])
    assert_array_equal(bad.cars.boost_before[1], bad.cars.boost[1])
    broken.reset([(1, opening())])
    for _ in range(30):
        assert_array_equal(bad.cars.position[[0, 2]], good.cars.position[[0, 2]])
        assert_array_equal(bad.ball.position[[0, 2]], good.ball.position[[0, 2]])
        good, bad = healthy.step(controls), broken.step(controls)
        assert not bad.faulty.any()
        assert np.isfinite(bad.cars.position).all()


def test_a_breakdown_everywhere_leaves_the_moment_before(make_arenas, opening):
    arenas = make_arenas(2)
    before = arenas.reset([(i, opening()) for i in range(2)])
    for index in range(2):
        spoil(arenas, index, "car")
    state = arenas.step(np.zeros((2, 2, 8), np.float32))
    assert state.faulty.all()
    assert_array_equal(state.cars.position, before.cars.position)
    assert state.seconds.tolist() == [0, 0]
    assert not arenas.reset([(i, opening()) for i in range(2)]).faulty.any()


def test_a_replaced_arena_is_as_good_as_a_new_one(make_arenas):
    used = make_arenas(1)
    play(used, 70, [0])
    used.rebuild(0, np.random.default_rng(7))
    assert_array_equal(play(used, 70, [0]), play(make_arenas(1, seed=7), 70, [0]))
