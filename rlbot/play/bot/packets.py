"""RLBot's packets as the GameState that observations are made of: one arena with the cars of the match."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlbot.game.observations import NUM_OPPONENTS, NUM_TEAMMATES
from rlbot.sim.state import (
    BIG_PAD_SECONDS,
    NUM_PADS,
    PAD_IS_BIG,
    PAD_POSITIONS,
    SMALL_PAD_SECONDS,
    TICKS_PER_SECOND,
    Ball,
    Cars,
    FloatArray,
    GameState,
)

if TYPE_CHECKING:
    from rlbot_flatbuffers import BoostPad, GamePacket, PlayerInfo, Vector3

ON_GROUND, JUMPING = 0, 1  # of AirState
NEAR = 200.0  # uu: a pad of the game is the simulator's pad that lies nearer than this
PAD_TICKS = np.where(PAD_IS_BIG, BIG_PAD_SECONDS, SMALL_PAD_SECONDS) * TICKS_PER_SECOND
LATE = 2  # ticks that a pad may come back later than expected


def pad_order(pads: "Sequence[BoostPad]") -> NDArray[np.int64] | None:
    """(34,) for each of the simulator's pads its index in the game's packets, which go by y and then x.

    None on a map with other pads.
    """
    if len(pads) != NUM_PADS:
        return None
    places = np.array([(pad.location.x, pad.location.y) for pad in pads])
    distance = np.linalg.norm(PAD_POSITIONS[:, None] - places, axis=-1)
    order: NDArray[np.int64] = distance.argmin(1)
    fits = distance.min(1).max() < NEAR and len(set(order.tolist())) == NUM_PADS
    return order if fits else None


class Pads:
    """How long each boost pad is still away. The packets' own timers cannot be relied on, so they are taken here.

    Args:
        order: see ``pad_order``; None: all pads count as ready.
    """

    def __init__(self, order: NDArray[np.int64] | None) -> None:
        self._order = order
        self._taken = np.full(NUM_PADS, -1.0)  # at which tick; -1: it is there

    def seen(self, packet: "GamePacket") -> FloatArray:
        """(34,) 0 ready to 1 just taken, after looking at a packet."""
        if self._order is None or len(packet.boost_pads) != NUM_PADS:
            return np.zeros(NUM_PADS, np.float32)
        tick = packet.match_info.frame_num
        ready = np.array([pad.is_active for pad in packet.boost_pads])[self._order]
        again = tick - self._taken > PAD_TICKS + LATE  # taken in the tick in which it came back
        taken = np.where(again, self._taken + PAD_TICKS, self._taken)
        self._taken = np.where(ready, -1, np.where(self._taken < 0, tick, taken))
        left = np.clip(1 - (tick - self._taken) / PAD_TICKS, 0, 1)
        return np.where(ready, 0, left).astype(np.float32)


@dataclass(frozen=True)
class Rotation:
    """(C, 3) where cars point, as unit vectors."""

    forward: FloatArray
    right: FloatArray
    up: FloatArray


def rotation(pitch: FloatArray, yaw: FloatArray, roll: FloatArray) -> Rotation:
    """Of Rocket League's angles (C,), radians."""
    cp, sp, cy, sy, cr, sr = (f(angle) for angle in (pitch, yaw, roll) for f in (np.cos, np.sin))
    forward = np.stack((cp * cy, cp * sy, sp), -1)
    right = np.stack((cy * sp * sr - cr * sy, sy * sp * sr + cr * cy, -cp * sr), -1)
    up = np.stack((-cr * cy * sp - sr * sy, -cr * sy * sp + sr * cy, cp * cr), -1)
    return Rotation(*(vectors.astype(np.float32) for vectors in (forward, right, up)))


def has_flip(player: "PlayerInfo") -> bool:
    """Whether a jump or flip is left. ``dodge_timeout`` is -1 when the time for it is over, but also while jumping."""
    state = int(player.air_state)
    if state == ON_GROUND:
        return True
    late = player.has_jumped and player.dodge_timeout < 0 and state != JUMPING
    return not (player.has_dodged or player.has_double_jumped or late)


def cast(packet: "GamePacket", own: int) -> list[int]:
    """Players that an observation of player ``own`` has room for, blue first."""
    team = packet.players[own].team
    others = [k for k in range(len(packet.players)) if k != own]
    mates = [k for k in others if packet.players[k].team == team][:NUM_TEAMMATES]
    opponents = [k for k in others if packet.players[k].team != team][:NUM_OPPONENTS]
    return sorted([own, *mates, *opponents], key=lambda k: (packet.players[k].team != 0, k))


def game_state(packet: "GamePacket", players: Sequence[int], pads: FloatArray, controls: FloatArray) -> GameState:
    """The moment of a packet with at least one ball, as one arena (A = 1) with the cars of these players (C).

    Args:
        packet: what the game tells.
        players: which of its players, blue first.
        pads: (34,) see ``Pads``.
        controls: (C, 8) what each last did; only a car's own are part of what it sees.
    """
    cars = [packet.players[k] for k in players]
    physics = [car.physics for car in cars]
    turned = rotation(
        *(np.array([getattr(one.rotation, angle) for one in physics]) for angle in ("pitch", "yaw", "roll"))
    )
    boost = np.array([[car.boost for car in cars]], np.float32)
    nothing, nobody = np.zeros((1, len(cars)), np.float32), np.zeros((1, len(cars)), bool)
    ball = packet.balls[0].physics
    velocity = _vectors([ball.velocity])
    return GameState(
        ball=Ball(_vectors([ball.location]), velocity, _vectors([ball.angular_velocity]), velocity_before=velocity),
        cars=Cars(
            team=np.array([int(car.team != 0) for car in cars]),
            position=_vectors([one.location for one in physics])[None],
            velocity=_vectors([one.velocity for one in physics])[None],
            angular_velocity=_vectors([one.angular_velocity for one in physics])[None],
            forward=turned.forward[None],
            right=turned.right[None],
            up=turned.up[None],
            boost=boost,
            boost_before=boost,
            on_ground=np.array([[int(car.air_state) == ON_GROUND for car in cars]]),
            has_flip=np.array([[has_flip(car) for car in cars]]),
            demolished=np.array([[car.demolished_timeout >= 0 for car in cars]]),
            touched=nobody,
            shots=nothing,
            saves=nothing,
            demos=nothing,
            controls=controls[None],
        ),
        pads=pads[None],
        goal=np.zeros(1, np.float32),
        seconds=np.zeros(1, np.float32),
        seconds_since_touch=np.zeros(1, np.float32),
        faulty=np.zeros(1, bool),
    )


def _vectors(vectors: "Sequence[Vector3]") -> FloatArray:
    return np.array([(vector.x, vector.y, vector.z) for vector in vectors], np.float32)
