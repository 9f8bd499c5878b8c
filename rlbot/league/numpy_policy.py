"""A policy in NumPy alone, as an exported bot carries it: neither torch nor pickle is needed to play.

Shapes: N cars, D numbers of an observation, O outputs of the actor.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.errors import InputError
from rlbot.game.actions import NUM_CONTROLS, TABLE
from rlbot.game.mirror import CONTROL_SIGNS, OWN_SIDE, ROW_ORDER, mirrored
from rlbot.game.observations import (
    BALL_POSITION,
    OWN_BALL,
    OWN_BOOST,
    OWN_FORWARD,
    OWN_HAS_FLIP,
    OWN_ON_GROUND,
    OWN_POSITION,
    OWN_UP,
    OWN_VELOCITY,
    POSITION,
    SIZE,
)
from rlbot.sim.state import BACK_WALL_Y, BALL_RADIUS, FloatArray

FILE = "policy.npz"
FORMAT = 1  # of the file
MOST_TICKS = 120  # between two decisions
NEAR = np.float32(BACK_WALL_Y / 400)  # what lies within 400 uu of the car is told apart finely
GOAL = np.array((0, BACK_WALL_Y, BALL_RADIUS), np.float32)
TINY = np.float32(1e-3)
NORM_EPSILON = np.float32(1e-5)
BLOCKED = np.float32(-1e4)
JUMP_MAY_HELP_BELOW = 1 / 16


class NumpyPolicy:
    """An opponent that acts by an exported policy; see ``rlbot.game.match.Opponent``.

    Args:
        facts: plain values: ``format``, ``observation`` (D), ``tick_skip``, ``canonical``, ``close_up``,
            ``gaussian_scale`` (None for the table), ``deterministic``, and whatever else.
        arrays: ``table`` (90, 8); for each layer ``weight_k`` (out, in) and ``bias_k`` (out,), with LayerNorm also
            ``gain_k`` and ``shift_k`` (out,) for each but the last; where rows are masked ``blocked`` (8, 90).
        name: for messages.

    Raises:
        InputError: it was made for another observation, table or decision rate than this code can play.
    """

    def __init__(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        self.facts, self.arrays, self.name = facts, arrays, name
        for what, found, wanted in (
            ("format", facts["format"], FORMAT),
            ("observation", facts["observation"], SIZE),
        ):
            if found != wanted:
                raise InputError(f"{name}: {what} is {found}, and here {wanted}: export the bot again")
        self.tick_skip: int = facts["tick_skip"]
        if not (isinstance(self.tick_skip, int) and 1 <= self.tick_skip <= MOST_TICKS):
            raise InputError(f"{name}: tick_skip is {self.tick_skip}, and must be 1 to {MOST_TICKS}")
        if not np.array_equal(arrays["table"], TABLE):
            raise InputError(f"{name}: the table of controls is another than here: export the bot again")
        self.deterministic: bool = facts["deterministic"]

    @classmethod
    def load(cls, folder: Path) -> "NumpyPolicy":
        """Read ``policy.npz``; nothing in it can run code.

        Raises:
            InputError: the file is missing, damaged, or cannot be played here.
        """
        file = folder / FILE
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
                arrays = {key: content[key] for key in content.files}
            return cls(json.loads(str(arrays.pop("facts"))), arrays, str(file))
        except InputError:
            raise
        except Exception as error:  # a foreign file can provoke anything in zipfile and numpy
            raise InputError(f"{file}: cannot be read as an exported policy ({type(error).__name__})") from error

    def packed(self) -> dict[str, NDArray[Any]]:
        """What ``policy.npz`` holds."""
        return {"facts": np.array(json.dumps(self.facts)), **self.arrays}

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """Controls (..., 8) for observations (..., D), drawn with noise (...) in [0, 1)."""
        flat = observations.reshape(-1, SIZE)
        outputs, sides = self.outputs(flat)
        if self.facts["gaussian_scale"] is not None:
            controls = outputs * np.float32(self.facts["gaussian_scale"])
            controls = np.where(sides[:, None], controls * CONTROL_SIGNS, controls)
        else:
            rows = outputs.argmax(-1) if self.deterministic else drawn(outputs, noise.reshape(-1))
            controls = TABLE[np.where(sides, ROW_ORDER[rows], rows)]
        return controls.astype(np.float32).reshape(*noise.shape, NUM_CONTROLS)

    def outputs(self, observations: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """The actor's (N, O) for observations (N, D), and where (N,) these are of the mirrored world."""
        sides = np.zeros(len(observations), bool)
        if self.facts["canonical"]:
            sides = observations[:, OWN_SIDE] < 0
            observations = np.where(sides[:, None], mirrored(observations), observations)
        seen = np.concatenate((observations, close_up(observations)), 1) if self.facts["close_up"] else observations
        return self._masked(self._forward(seen), observations), sides

    def _forward(self, numbers: FloatArray) -> FloatArray:
        arrays = self.arrays
        last = sum(name.startswith("weight_") for name in arrays) - 1
        for k in range(last + 1):
            numbers = numbers @ arrays[f"weight_{k}"].T + arrays[f"bias_{k}"]
            if f"gain_{k}" in arrays:
                centred = numbers - numbers.mean(1, keepdims=True)
                spread = np.sqrt((centred * centred).mean(1, keepdims=True) + NORM_EPSILON)
                numbers = centred / spread * arrays[f"gain_{k}"] + arrays[f"shift_{k}"]
            if k < last:
                numbers = np.maximum(numbers, 0)
        return numbers

    def _masked(self, outputs: FloatArray, observations: FloatArray) -> FloatArray:
        if "blocked" not in self.arrays:
            return outputs
        grounded = observations[:, OWN_ON_GROUND] > 0.5
        high = observations[:, OWN_POSITION][:, 2] > JUMP_MAY_HELP_BELOW
        spent = (observations[:, OWN_HAS_FLIP] < 0.5) & ~grounded & high
        case = (observations[:, OWN_BOOST] <= 0) + 2 * spent + 4 * grounded
        return np.where(self.arrays["blocked"][case], BLOCKED, outputs)


def drawn(outputs: FloatArray, noise: FloatArray) -> NDArray[np.int64]:
    """(N,) the entries of (N, O) that uniform numbers (N,) pick by inverse CDF of the softmax."""
    cumulative = chances(outputs)
    rows: NDArray[np.int64] = (cumulative <= noise[:, None] * cumulative[:, -1:]).sum(-1)
    return rows.clip(max=outputs.shape[-1] - 1)


def chances(outputs: FloatArray) -> FloatArray:
    """(N, O) the softmax, summed up from the first entry on."""
    weights = np.exp(outputs - outputs.max(-1, keepdims=True))
    summed: FloatArray = (weights / weights.sum(-1, keepdims=True)).cumsum(-1, dtype=np.float32)
    return summed


def close_up(observations: FloatArray) -> FloatArray:
    """(N, 12) the ball close up, made of the 180 numbers, all along the car's forward, right and up.

    The direction to the ball; its place around the car, levelling off; the direction from the ball to the opponents'
    goal; the car's velocity. ``rlbot.ppo.view.seen_close_up`` tells why.
    """
    ball, forward, up = (observations[:, part] for part in (OWN_BALL, OWN_FORWARD, OWN_UP))
    axes = np.stack((forward, np.cross(up, forward), up), axis=1)
    to_goal = _direction(GOAL - observations[:, BALL_POSITION] / POSITION)
    aim = (to_goal[:, None] * axes).sum(-1)
    speed = (observations[:, None, OWN_VELOCITY] * axes).sum(-1)
    return np.concatenate((_direction(ball), np.tanh(ball * NEAR), aim, speed), 1).astype(np.float32)


def _direction(way: FloatArray) -> FloatArray:
    direction: FloatArray = way / np.maximum(np.sqrt((way * way).sum(-1, keepdims=True)), TINY)
    return direction
