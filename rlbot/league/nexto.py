"""The published Nexto as an opponent: its TorchScript file (yours to bring) and what our 180 numbers mean in its terms.

The file's module takes ``(q, kv, mask)`` and returns ``(logits of the 90 rows, attention weights)``. Shapes: B cars, E
entities (the cars that are there, the ball, 34 pads). One entity of kv is 24 numbers: self, mate, opponent, ball, pad;
position, velocity (by 2300), forward, up, angular velocity (by 5.5); boost, demolished, on ground, has flip. The query
q (B, 1, 32) is the own car's row and the 8 controls applied last; kv (B, E, 24) has positions relative to the own car
and every vector turned so that the car faces +y; mask (B, E) is 1 where there is no such car.

What is not as in the game: the 180 numbers do not say whether the own car is demolished (it cannot act then); an action
acts from the next tick on, where Nexto was trained with the eighth; actions are drawn unless ``deterministic`` is set.
"""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from rlbot.errors import InputError
from rlbot.game.actions import NUM_ACTIONS, TABLE
from rlbot.game.observations import (
    BALL,
    CAR_SIZE,
    CONTROLS,
    DISTANCE,
    OTHERS,
    OWN,
    OWN_BOOST,
    OWN_FORWARD,
    OWN_HAS_FLIP,
    OWN_ON_GROUND,
    OWN_UP,
    PADS,
    POSITION,
)
from rlbot.ppo.policy import choose
from rlbot.sim.state import (
    BALL_MAX_SPEED,
    BALL_MAX_SPIN,
    CAR_MAX_SPEED,
    CAR_MAX_SPIN,
    NUM_PADS,
    PAD_IS_BIG,
    PAD_POSITIONS,
    FloatArray,
)

QUERY_SIZE, ENTITY_SIZE = 32, 24
SELF, MATE, FOE, IS_BALL, IS_PAD = range(5)
PLACE, VELOCITY, FORWARD, UP, SPIN = (slice(begin, begin + 3) for begin in (5, 8, 11, 14, 17))
BOOST, DEMOLISHED, ON_GROUND, HAS_FLIP = range(20, 24)
READY = DEMOLISHED  # of a pad: 1 ready, 0 taken
LENGTH, TURN_RATE = 2300.0, 5.5  # what Nexto divides by
PAD_HEIGHTS = np.where(PAD_IS_BIG, 73.0, 70.0)
SMALL_PAD_BOOST = 0.12


class Entities(NamedTuple):
    """What Nexto sees of B cars."""

    q: FloatArray  # (B, 1, 32)
    kv: FloatArray  # (B, E, 24)
    mask: FloatArray  # (B, E)


def entities(observations: FloatArray) -> Entities:
    """Nexto's view of the default observation's 180 numbers (B, 180)."""
    num_cars = len(observations)
    others = observations[:, OTHERS].reshape(num_cars, -1, CAR_SIZE)
    others = others[:, (others[..., -1] > 0).any(axis=0)]  # slots that are empty in all rows
    last_car = 1 + others.shape[1]
    kv = np.zeros((num_cars, last_car + 1 + NUM_PADS, ENTITY_SIZE), np.float32)
    _fill_own(kv[:, 0], observations)
    _fill_others(kv[:, 1:last_car], others, kv[:, 0])
    ball = observations[:, BALL]
    kv[:, last_car, IS_BALL] = 1
    kv[:, last_car, PLACE] = ball[:, 0:3] / (POSITION * LENGTH)
    kv[:, last_car, VELOCITY] = ball[:, 3:6] * (BALL_MAX_SPEED / LENGTH)
    kv[:, last_car, SPIN] = ball[:, 6:9] * (BALL_MAX_SPIN / TURN_RATE)
    pads = kv[:, last_car + 1 :]
    pads[..., IS_PAD] = 1
    pads[..., PLACE] = np.column_stack((PAD_POSITIONS, PAD_HEIGHTS)) / LENGTH
    pads[..., BOOST] = np.where(PAD_IS_BIG, 1, SMALL_PAD_BOOST)
    pads[..., READY] = observations[:, PADS] <= 0
    q = np.concatenate((kv[:, 0], observations[:, CONTROLS]), axis=1)[:, None]
    kv[..., PLACE] -= q[..., PLACE]
    _face_forward(kv, q[:, 0, FORWARD])
    mask = np.zeros(kv.shape[:2], np.float32)
    mask[:, 1:last_car] = others[..., -1] == 0
    return Entities(q, kv, mask)


def _fill_own(row: FloatArray, observations: FloatArray) -> None:
    own = observations[:, OWN]
    row[:, [SELF, MATE]] = 1
    row[:, PLACE] = own[:, 0:3] / (POSITION * LENGTH)
    row[:, VELOCITY] = own[:, 3:6] * (CAR_MAX_SPEED / LENGTH)
    row[:, SPIN] = own[:, 6:9] * (CAR_MAX_SPIN / TURN_RATE)
    row[:, FORWARD], row[:, UP] = observations[:, OWN_FORWARD], observations[:, OWN_UP]
    row[:, [BOOST, ON_GROUND, HAS_FLIP]] = observations[:, [OWN_BOOST, OWN_ON_GROUND, OWN_HAS_FLIP]]


def _fill_others(rows: FloatArray, others: FloatArray, own: FloatArray) -> None:
    present = others[..., -1:]
    rows[..., [MATE]] = others[..., [19]] * present
    rows[..., [FOE]] = (1 - others[..., [19]]) * present
    rows[..., PLACE] = others[..., 0:3] / (DISTANCE * LENGTH) + own[:, None, PLACE]
    rows[..., VELOCITY] = others[..., 3:6] * (CAR_MAX_SPEED / LENGTH) + own[:, None, VELOCITY]
    rows[..., SPIN] = others[..., 6:9] * (CAR_MAX_SPIN / TURN_RATE)
    rows[..., FORWARD], rows[..., UP] = others[..., 9:12], others[..., 12:15]
    rows[..., [BOOST, ON_GROUND, DEMOLISHED, HAS_FLIP]] = others[..., 15:19]


def _face_forward(kv: FloatArray, forward: FloatArray) -> None:
    """Turn all vectors of kv (B, E, 24) about z so that ``forward`` (B, 3) points along +y; in place."""
    angle = np.arctan2(forward[:, 0], forward[:, 1])[:, None, None]
    vectors = kv[..., PLACE.start : SPIN.stop].reshape(*kv.shape[:2], 5, 3)
    x, y = vectors[..., 0], vectors[..., 1]
    turned = np.stack((np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y), axis=-1)
    kv[..., PLACE.start : SPIN.stop] = np.concatenate((turned, vectors[..., 2:]), axis=-1).reshape(*kv.shape[:2], 15)


def _module(content: bytes) -> Any:
    """The network in a TorchScript file of this content."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the file is what it is
        return torch.jit.load(io.BytesIO(content), map_location="cpu").eval()  # type: ignore[no-untyped-call]


class Nexto:
    """An opponent that acts by Nexto's network.

    Args:
        module: takes ``(q, kv, mask)`` and returns the logits, alone or first.
        deterministic: takes the most likely row instead of drawing one.

    Raises:
        InputError: the module does not take these shapes or does not give 90 logits a car.
    """

    tick_skip = 8  # physics ticks between its decisions

    def __init__(self, module: Callable[..., Any], *, deterministic: bool = False) -> None:
        self._module = module
        self._deterministic = deterministic
        self._content = b""  # of the file; torch cannot pickle TorchScript
        self._check()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"_module": None} if self._content else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._content:
            self._module = _module(self._content)

    @classmethod
    def load(cls, path: Path, *, deterministic: bool = False) -> Self:
        """Read a TorchScript file. It holds code: load only what you trust.

        Raises:
            InputError: no TorchScript, or a network of other shapes.
        """
        try:
            content = path.read_bytes()
            module = _module(content)
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{path} cannot be read as a TorchScript file ({reason})") from error
        try:
            nexto = cls(module, deterministic=deterministic)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        nexto._content = content
        return nexto

    def _check(self) -> None:
        """Act once for two cars."""
        num_cars, num_entities = 2, 1 + 1 + 1 + NUM_PADS
        sizes = [(num_cars, 1, QUERY_SIZE), (num_cars, num_entities, ENTITY_SIZE), (num_cars, num_entities)]
        asked = f"q {sizes[0]}, kv {sizes[1]}, mask {sizes[2]}"
        try:
            logits = self._logits([torch.zeros(size) for size in sizes])
        except (RuntimeError, TypeError, LookupError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"no network like Nexto's: it does not take {asked} ({reason})") from error
        if logits.shape != (num_cars, NUM_ACTIONS):
            raise InputError(
                f"no network like Nexto's: for {asked} it gives logits of shape {tuple(logits.shape)}, "
                f"not {(num_cars, NUM_ACTIONS)}"
            )

    @torch.no_grad()
    def _logits(self, inputs: list[Tensor]) -> Tensor:
        """(B, 90) for q (B, 1, 32), kv (B, E, 24) and mask (B, E)."""
        with torch.autocast("cpu", enabled=False):
            answer = self._module(tuple(inputs))
        logits: Tensor = (answer if isinstance(answer, Tensor) else answer[0]).float()
        return logits.squeeze(1) if logits.dim() == 3 else logits

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        seen = entities(observations.reshape(-1, observations.shape[-1]))
        logits = self._logits([torch.from_numpy(part) for part in seen])
        if self._deterministic:
            rows = logits.argmax(-1)
        else:
            rows = choose(logits.softmax(-1), torch.from_numpy(noise.reshape(-1)))
        controls: FloatArray = TABLE[rows.numpy()].reshape(*noise.shape, -1)
        return controls
