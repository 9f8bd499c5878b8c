"""A GameState written out by hand: one arena in which everything is zero that a test does not name."""

import dataclasses

import numpy as np
import pytest

from rlbot.sim.state import HALF_TURN, PAD_POSITIONS, Ball, Cars, GameState


@pytest.fixture
def make_state():
    """Fields of Cars by name, one row a car (blue first); ball_position and so on for the ball."""

    def make(blue=1, orange=1, *, pads=(0,) * 34, goal=0, seconds=0, seconds_since_touch=0, **given):
        count = blue + orange
        cars = {"team": np.repeat([0, 1], [blue, orange])}
        for name in ("position", "velocity", "angular_velocity", "forward", "right", "up"):
            cars[name] = np.zeros((1, count, 3), np.float32)
        cars["forward"][..., 0] = cars["right"][..., 1] = cars["up"][..., 2] = 1
        for name in ("boost", "boost_before", "shots", "saves", "demos"):
            cars[name] = np.zeros((1, count), np.float32)
        for name in ("on_ground", "has_flip", "demolished", "touched"):
            cars[name] = np.zeros((1, count), bool)
        cars["controls"] = np.zeros((1, count, 8), np.float32)
        motions = ("position", "velocity", "angular_velocity", "velocity_before")
        ball = {name: np.zeros((1, 3), np.float32) for name in motions}
        for name, value in given.items():
            target, field = (ball, name[5:]) if name.startswith("ball_") else (cars, name)
            target[field][0] = value
        return GameState(
            ball=Ball(**ball),
            cars=Cars(**cars),
            pads=np.array([pads], np.float32),
            goal=np.array([goal], np.float32),
            seconds=np.array([seconds], np.float32),
            seconds_since_touch=np.array([seconds_since_touch], np.float32),
            faulty=np.zeros(1, bool),
        )

    return make


@pytest.fixture
def any_state(make_state):
    """A world in which every number is drawn: nothing in it is zero or equal by chance."""

    def make(blue, orange, seed=0):
        rng, count = np.random.default_rng(seed), blue + orange
        vectors = ("position", "velocity", "angular_velocity", "forward", "right", "up")
        cars = {name: rng.uniform(0.1, 1, (count, 3)) for name in vectors}
        cars |= {name: rng.random(count) < 0.5 for name in ("on_ground", "has_flip", "demolished", "touched")}
        cars |= {name: rng.uniform(1, 99, count) for name in ("boost", "shots", "saves", "demos")}
        motions = ("position", "velocity", "angular_velocity", "velocity_before")
        ball = {f"ball_{name}": rng.uniform(0.1, 1, 3) * 1000 for name in motions}
        cars["boost_before"] = rng.uniform(1, 99, count)
        controls = rng.uniform(-1, 1, (count, 8))
        return make_state(blue, orange, pads=rng.uniform(0.1, 1, 34), goal=1, controls=controls, **cars, **ball)

    return make


@pytest.fixture
def turned():
    """The same world turned 180 degrees about z with the teams' colours exchanged."""

    def turn(state):
        cars, ball = state.cars, state.ball
        order = np.argsort(cars.team == 0, kind="stable")  # orange cars first: they are blue now
        fields = {f.name: getattr(cars, f.name) for f in dataclasses.fields(cars) if f.name != "team"}
        for name, values in fields.items():
            fields[name] = (
                values[:, order] * HALF_TURN if values.shape[-1] == 3 and values.ndim == 3 else values[:, order]
            )
        place = {tuple(position): k for k, position in enumerate(PAD_POSITIONS.tolist())}
        opposite = [place[-x, -y] for x, y in PAD_POSITIONS.tolist()]
        return dataclasses.replace(
            state,
            ball=Ball(*(getattr(ball, f.name) * HALF_TURN for f in dataclasses.fields(ball))),
            cars=Cars(team=1 - cars.team[order], **fields),
            pads=state.pads[:, opposite],
            goal=-state.goal,
        ), order

    return turn
