"""Arenas with the same history stay bit-identical, however their cars happen to lie in memory."""

import numpy as np
import pytest
import RocketSim

from rlbot.sim import car_order, meshes
from rlbot.sim.arenas import ArenaBatch


def _arena(num_cars):
    meshes.initialise()
    arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR)
    return arena, [arena.add_car(i % 2, RocketSim.CarConfig.OCTANE) for i in range(num_cars)]


def _regular_arena(num_cars):
    for _ in range(50):
        arena, cars = _arena(num_cars)
        if car_order.is_regular(arena, cars):
            return arena, cars
    pytest.fail("no arena in 50 visits its cars in the regular order")


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_any_other_order_is_told_from_the_regular_one(order):
    arena, cars = _regular_arena(3)
    assert car_order.is_regular(arena, cars[::-1])
    assert not car_order.is_regular(arena, [cars[i] for i in order])


def test_arenas_of_another_order_are_replaced(monkeypatch):
    answers = iter([False, False, True, True])
    monkeypatch.setattr(car_order, "is_regular", lambda arena, cars: next(answers))
    arenas = ArenaBatch([np.random.default_rng(i) for i in range(2)], 1, 2)
    assert len(arenas) == 2
    assert next(answers, None) is None


def test_every_arena_of_a_batch_is_regular():
    arenas = ArenaBatch([np.random.default_rng(i) for i in range(40)], 3, 3)
    regular = [car_order.is_regular(*pair) for pair in zip(arenas._arenas, arenas._cars, strict=True)]
    assert all(regular)
