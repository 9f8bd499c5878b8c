"""The order in which an arena's physics visits its cars, which no seed decides.

RocketSim keeps an arena's cars in a set ordered by their memory addresses, so two arenas with three cars or more and
the same history of calls may visit them differently, and differ in their last bits from the first contact of two cars
on. The order shows in who gets a boost pad that two cars reach in the same tick: the one visited last.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import RocketSim

REST_HEIGHT = 17.0
PAD_REACH = 70.0  # uu: both cars of a pair stand this far from the pad and do not touch each other
AWAY = (300.0, 1500.0)  # uu between waiting cars, and their y: far from the small pads used here


def _stand(car: Any, x: float, y: float) -> None:
    state = RocketSim.CarState()
    state.pos, state.is_on_ground, state.boost = RocketSim.Vec(x, y, REST_HEIGHT), True, 0.0
    car.set_state(state)


def is_regular(arena: Any, cars: Sequence[Any]) -> bool:
    """Whether an arena visits its cars in the order in which they were added, or the reverse.

    One of the two is what every standard library gives unless addresses collide, so taking only such arenas makes the
    order the same in all. The arena is stepped a few ticks and left in a state that has to be reset.
    """
    arena.reset_kickoff(0)  # every pad is ready
    pads = [pad.get_pos() for pad in arena.get_boost_pads() if not pad.is_big]
    first_wins = []
    for pad, (first, second) in zip(pads, combinations(cars, 2), strict=False):
        for i, car in enumerate(cars):
            _stand(car, AWAY[0] * (i + 1), AWAY[1])
        _stand(first, pad.x - PAD_REACH, pad.y)
        _stand(second, pad.x + PAD_REACH, pad.y)
        arena.step(1)
        first_wins.append(first.get_state().boost > second.get_state().boost)
    return len(set(first_wins)) <= 1
