"""Opening positions from a file, and how to write one."""

import dataclasses
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlbot.errors import InputError
from rlbot.game.starts import Start
from rlbot.sim.state import BACK_WALL_Y, CEILING_Z, GOAL_DEPTH, SIDE_WALL_X, ArenaStart, IntArray

NAMES = tuple(field.name for field in dataclasses.fields(ArenaStart))
FIELD = np.array([SIDE_WALL_X, BACK_WALL_Y + GOAL_DEPTH, CEILING_Z])
NEAREST = 40.0  # uu between the middles of two bodies: in one place they break the physics


class SavedStart(Start):
    """A position drawn from a .npz file, each as often as any other.

    The file holds the arrays of ``rlbot.sim.state.ArenaStart`` by their names, each with an axis of P positions in
    front, and ``team``, for K cars: ball_position, ball_velocity and ball_angular_velocity (P, 3); car_position,
    car_yaw_pitch_roll, car_velocity and car_angular_velocity (P, K, 3); car_boost (P, K); team (K,) 0 blue, 1 orange.
    Units are uu, seconds, radians, boost 0 to 100. A match takes the first cars of each team; there must be enough for
    every mode that is played. ``save_starts`` writes such a file.

    Args:
        file: path of the .npz file.
        weight: how often it is drawn, relative to the other starts.

    Raises:
        InputError: the file is missing or is not as described.
    """

    def __init__(self, file: str, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.file = file
        try:
            with Path(file).open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                arrays = {name: held[name] for name in (*NAMES, "team")}
        except KeyError as error:
            raise InputError(f"SavedStart.file={file}: {error.args[0]}") from error
        except OSError as error:
            raise InputError(f"SavedStart.file={file} cannot be read: {error.strerror}") from error
        except (EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"SavedStart.file={file} is not a .npz file of plain numbers") from error
        self._team, self._arrays = arrays.pop("team"), arrays
        if problem := _problem(self._team, arrays):
            raise InputError(f"SavedStart.file={file}: {problem}")

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``.

        Raises:
            InputError: the file has too few cars.
        """
        cars: list[int] = []
        for side in (0, 1):
            held, needed = np.flatnonzero(self._team == side), int((team == side).sum())
            if len(held) < needed:
                colour = "blue" if side == 0 else "orange"
                raise InputError(f"SavedStart.file={self.file} has {len(held)} {colour} cars, the match {needed}")
            cars += held[:needed].tolist()
        k = rng.integers(len(self._arrays["ball_position"]))
        drawn = {name: array[k] for name, array in self._arrays.items()}
        return ArenaStart(**{name: row[cars] if name.startswith("car_") else row for name, row in drawn.items()})


def save_starts(file: str | Path, team: Sequence[int] | IntArray, starts: Sequence[ArenaStart]) -> None:
    """Write positions of cars of ``team`` (K,), 0 blue and 1 orange, for ``SavedStart``.

    Raises:
        ValueError: they are such that ``SavedStart`` would refuse them.
    """
    arrays = {name: np.array([getattr(start, name) for start in starts], np.float32) for name in NAMES}
    if problem := _problem(np.asarray(team), arrays):
        raise ValueError(problem)
    np.savez_compressed(file, team=np.asarray(team, np.int64), **arrays)  # type: ignore[arg-type]


def _problem(team: np.ndarray, arrays: dict[str, np.ndarray]) -> str:
    """What makes these arrays unusable, in words; nothing if they are good."""
    if team.ndim != 1 or not np.isin(team, (0, 1)).all():
        return f"team must be (K,) of 0 and 1, and is {team.tolist()}"
    count = len(arrays["ball_position"]) if arrays["ball_position"].ndim else 0
    if count == 0:
        return "ball_position holds no position"
    for name, array in arrays.items():
        shape = (count, *(len(team),) * name.startswith("car_"), *(3,) * (name != "car_boost"))
        if array.shape != shape:
            return f"{name} has shape {array.shape}, expected {shape}"
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            return f"{name} holds something that is no finite number"
    bodies = np.concatenate([arrays["ball_position"][:, None], arrays["car_position"]], axis=1)  # (P, 1 + K, 3)
    outside = (np.abs(bodies) > FIELD).any(axis=-1) | (bodies[..., 2] < 0)
    if outside.any():
        return f"position {int(outside.any(axis=1).argmax())} has a body outside the field"
    gaps = np.linalg.norm(bodies[:, :, None] - bodies[:, None], axis=-1) + NEAREST * np.eye(bodies.shape[1])
    if (gaps < NEAREST).any():
        return f"position {int((gaps < NEAREST).any(axis=(1, 2)).argmax())} has two bodies in one place"
    return ""
