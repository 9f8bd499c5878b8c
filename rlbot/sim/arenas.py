"""ArenaBatch: many RocketSim arenas behind one call that takes controls and gives arrays.

Python work per arena is kept to what the binding forces (controls in, one read out); the rest is done on arrays over
all arenas. Every arena owns a random stream, so its history does not depend on how many others are simulated.
"""

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import RocketSim
from numpy.typing import NDArray

from rlbot.sim import car_order, meshes
from rlbot.sim.state import (
    BIG_PAD_SECONDS,
    NUM_PADS,
    PAD_IS_BIG,
    SMALL_PAD_SECONDS,
    TICKS_PER_SECOND,
    ArenaStart,
    Ball,
    BoolArray,
    Cars,
    FloatArray,
    GameState,
)

# Columns of Arena.get_gym_state(): see its docstring.
BALL_COLUMNS, CAR_COLUMNS = 25, 36
BLUE_SCORE, ORANGE_SCORE = 2, 3
SAVES, DEMOS, DEMOLISHED, ON_GROUND, TOUCHED, BOOST = 3, 5, 7, 8, 9, 10  # shots are column 4
NUM_CONTROLS = 8
MAX_MADE = 4096  # CarControls kept for reuse: the 90-row table needs 90
CONTROL_ORDER = [0, 1, 2, 3, 4, 6, 5, 7]  # RocketSim.CarControls takes boost before jump
MAX_SEED = 2**31 - 1
ORDER_TRIES = 100  # new arenas until one visits its cars in the regular order; 97 in 100 do
PAD_SECONDS = np.where(PAD_IS_BIG, BIG_PAD_SECONDS, SMALL_PAD_SECONDS).astype(np.float32)


def _updated(before: NDArray[Any], read: Any, fresh: NDArray[Any]) -> NDArray[Any]:
    """A new array with ``fresh`` in the rows ``read``, the others as before; states handed out never change."""
    if isinstance(read, slice):
        return fresh
    after = before.copy()
    after[read] = fresh
    return after


def _vec(xyz: NDArray[Any]) -> Any:
    return RocketSim.Vec(float(xyz[0]), float(xyz[1]), float(xyz[2]))


class ArenaBatch:
    """Arenas of one mode, stepped together.

    Args:
        rngs: One random stream an arena; its length is the number of arenas A.
        num_blue: Blue cars of each arena.
        num_orange: Orange cars of each arena.
        tick_skip: Physics ticks (1/120 s) a step.

    Raises:
        MeshError: the collision meshes can be neither found nor fetched.
    """

    def __init__(self, rngs: Sequence[np.random.Generator], num_blue: int, num_orange: int, tick_skip: int = 8) -> None:
        meshes.initialise()
        self.rngs = list(rngs)
        self.tick_skip = tick_skip
        self.step_seconds = tick_skip / TICKS_PER_SECOND
        self.team = np.array([0] * num_blue + [1] * num_orange)
        self.num_cars = len(self.team)
        num_arenas = len(self.rngs)
        self._arenas: list[Any] = [None] * num_arenas
        self._cars: list[list[Any]] = [[]] * num_arenas
        self._game = np.zeros((num_arenas, 4), np.float32)
        self._ball = np.zeros((num_arenas, BALL_COLUMNS), np.float32)
        self._car = np.zeros((num_arenas, self.num_cars, CAR_COLUMNS), np.float32)
        self._pad_active = np.ones((num_arenas, NUM_PADS), bool)
        self._pad_seconds = np.zeros((num_arenas, NUM_PADS), np.float32)  # until ready again
        self._has_flip = np.ones((num_arenas, self.num_cars), bool)
        self._controls = np.zeros((num_arenas, self.num_cars, 8), np.float32)
        self._made: dict[bytes, Any] = {}  # CarControls by their row's bytes
        self.physics_seconds = 0.0  # spent inside RocketSim's step so far
        self._seconds = np.zeros(num_arenas, np.float32)
        self._seconds_since_touch = np.zeros(num_arenas, np.float32)
        for i in range(num_arenas):
            self.rebuild(i)

    def __len__(self) -> int:
        return len(self._arenas)

    def rebuild(self, index: int, rng: np.random.Generator | None = None) -> None:
        """Replace an arena by a new one: a used arena keeps contacts that no reset clears, a new one has no history."""
        if rng is not None:
            self.rngs[index] = rng
        refused = []  # kept until the end, so that the next arena's cars lie elsewhere in memory
        for _ in range(ORDER_TRIES):
            arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR)
            teams = [RocketSim.Team.ORANGE if team else RocketSim.Team.BLUE for team in self.team]
            cars = [arena.add_car(team, RocketSim.CarConfig.OCTANE) for team in teams]
            if self.num_cars <= 2 or car_order.is_regular(arena, cars):
                break
            refused.append((arena, cars))
        self._arenas[index], self._cars[index] = arena, cars

    def reset(self, starts: Iterable[tuple[int, ArenaStart]]) -> GameState:
        """Begin a new episode in the arenas named by index; the others stand still. Returns the state of all."""
        for name in ("_game", "_ball", "_car", "_pad_active", "_pad_seconds", "_has_flip", "_controls"):
            setattr(self, name, getattr(self, name).copy())  # states handed out earlier must not change
        self._seconds, self._seconds_since_touch = self._seconds.copy(), self._seconds_since_touch.copy()
        for i, start in starts:
            self._place(i, start)
            game, pads, ball, *cars = self._arenas[i].get_gym_state()
            self._game[i], self._ball[i] = game, ball[0]
            self._car[i] = sorted((car[0] for car in cars), key=lambda car: car[0])
            self._pad_active[i], self._pad_seconds[i] = pads[0] > 0.5, 0
            self._has_flip[i], self._controls[i] = True, 0
            self._seconds[i] = self._seconds_since_touch[i] = 0
        shape = (len(self), self.num_cars)
        nothing = np.zeros((*shape, 3), np.float32)
        nobody = np.zeros(shape, bool)
        before = self._ball, self._car
        return self._state(before, np.zeros(len(self), np.float32), nothing, nobody, np.zeros(len(self), bool))

    def _place(self, i: int, start: ArenaStart) -> None:
        arena = self._arenas[i]
        arena.reset_kickoff(int(self.rngs[i].integers(MAX_SEED)))  # pads, score events; every position is set below
        ball = RocketSim.BallState()
        ball.pos, ball.vel = _vec(start.ball_position), _vec(start.ball_velocity)
        ball.ang_vel = _vec(start.ball_angular_velocity)
        arena.ball.set_state(ball)
        for c, car in enumerate(self._cars[i]):
            yaw, pitch, roll = (float(angle) for angle in start.car_yaw_pitch_roll[c])
            state = RocketSim.CarState()
            state.pos, state.vel = _vec(start.car_position[c]), _vec(start.car_velocity[c])
            state.ang_vel = _vec(start.car_angular_velocity[c])
            state.rot_mat = RocketSim.Angle(yaw, pitch, roll).as_rot_mat()
            state.boost = float(start.car_boost[c])
            state.is_on_ground = bool(state.pos.z < 50)
            car.set_state(state)
            car.set_controls(RocketSim.CarControls())

    def step(self, controls: FloatArray, active: BoolArray | None = None) -> GameState:
        """Apply controls for ``tick_skip`` ticks and read the worlds.

        Args:
            controls: (A, C, 8) throttle, steer, pitch, yaw, roll in [-1, 1]; jump, boost, handbrake on when > 0.
            active: (A,) arenas to step; the others stand still. None steps all.

        Returns:
            The state after the step; where the physics produced NaN, ``faulty`` is set, the arena has been replaced
            by a new one and has to be reset.

        Raises:
            ValueError: controls of another shape or with NaN or infinity, which RocketSim would take for -1.
        """
        if controls.shape != self._controls.shape:
            raise ValueError(f"controls have shape {controls.shape}, expected {self._controls.shape}")
        if not np.isfinite(controls).all():
            raise ValueError("controls hold NaN or infinity")
        self._respawn(active)
        rows = np.minimum(np.maximum(controls, -1), 1).astype(np.float32, order="C", copy=False)
        rows[..., 5:] = rows[..., 5:] > 0
        which = range(len(self)) if active is None else np.flatnonzero(active).tolist()
        gyms = self._run_physics(rows, which)
        faulty = np.zeros(len(self), bool)
        read: Any = slice(None)
        if active is not None or None in gyms:
            faulty[[i for i, gym in zip(which, gyms, strict=True) if gym is None]] = True
            read = [i for i, gym in zip(which, gyms, strict=True) if gym is not None]
        before = self._game, self._ball, self._car
        self._store(read, [gym for gym in gyms if gym is not None])
        return self._advance(*before, rows, read, faulty)

    def break_down(self, index: int) -> None:
        """Let an arena's physics produce NaN in its next step, to see what becomes of that."""
        car = self._cars[index][0]
        state = car.get_state()
        state.pos = RocketSim.Vec(math.nan, 0, 0)
        car.set_state(state)

    def _run_physics(self, rows: FloatArray, which: Iterable[int]) -> list[Any]:
        """The only loop over arenas: set controls, step, read (None after NaN). Every microsecond here counts."""
        made, ticks, clock = self._made, self.tick_skip, time.perf_counter
        keys = rows.view(f"V{NUM_CONTROLS * 4}")[..., 0].tolist()  # (A, C) each row as bytes
        if len(made) > MAX_MADE:
            made.clear()
        gyms: list[Any] = []
        seconds = 0.0
        for i in which:
            arena = self._arenas[i]
            for car, key in zip(self._cars[i], keys[i], strict=True):
                controls = made.get(key)
                if controls is None:
                    row = np.frombuffer(key, np.float32)[CONTROL_ORDER]
                    controls = made[key] = RocketSim.CarControls(*row.tolist())
                car.set_controls(controls)
            begun = clock()
            arena.step(ticks)
            seconds += clock() - begun
            try:
                gyms.append(arena.get_gym_state())
            except RuntimeError:  # NaN in the physics
                gyms.append(None)
                self.rebuild(i)
        self.physics_seconds += seconds
        return gyms

    def _store(self, read: Any, gyms: list[Any]) -> None:
        """Turn what the binding returned for the arenas ``read`` into new arrays; the others keep the moment before."""
        if not gyms:
            return
        shape = (len(gyms), self.num_cars)
        # Each array has two rows, the world and the world turned: joining both costs less than taking out the first.
        game = np.concatenate([gym[0] for gym in gyms]).reshape(-1, 4)
        pads = np.concatenate([gym[1] for gym in gyms])[::2] > 0.5
        ball = np.concatenate([gym[2] for gym in gyms])[::2].copy()
        car = np.concatenate([both for gym in gyms for both in gym[3:]])[::2].reshape(*shape, CAR_COLUMNS).copy()
        ids = car[..., 0]
        if (ids[:, 1:] < ids[:, :-1]).any():  # the binding's order follows an unordered set
            car = np.take_along_axis(car, ids.argsort(axis=1)[..., None], axis=1)
        self._game = _updated(self._game, read, game)
        self._ball = _updated(self._ball, read, ball)
        self._car = _updated(self._car, read, car)
        self._pad_active = _updated(self._pad_active, read, pads)
        has_flip = car[..., ON_GROUND] > 0.5  # a car on the ground has one; RocketSim is asked about the others
        which = range(len(self)) if isinstance(read, slice) else read
        for row, c in np.argwhere(~has_flip).tolist():
            has_flip[row, c] = self._cars[which[row]][c].get_state().has_flip_or_jump()
        self._has_flip = _updated(self._has_flip, read, has_flip)

    def _advance(
        self, game: FloatArray, ball: FloatArray, car: FloatArray, rows: FloatArray, read: Any, faulty: BoolArray
    ) -> GameState:
        """Move clocks and pads of the arenas ``read`` on; count what happened since the readings game, ball and car."""
        stepped = np.zeros(len(self), bool)
        stepped[read] = True
        dt = stepped * np.float32(self.step_seconds)
        waiting = ~self._pad_active
        taken = waiting & (self._pad_seconds <= 0)
        running = np.maximum(self._pad_seconds - dt[:, None], 0)
        self._pad_seconds = np.where(taken, PAD_SECONDS, running * waiting)
        unsure = waiting & ~taken & (running < self.step_seconds) & stepped[:, None]
        for i, k in np.argwhere(unsure):  # taken again in the step in which it was ready: ask RocketSim
            self._pad_seconds[i, k] = self._arenas[i].get_boost_pads()[k].get_state().cooldown
        self._controls = _updated(self._controls, read, rows[read])
        self._seconds = self._seconds + dt
        touched = (self._car[..., TOUCHED] > 0.5) & stepped[:, None]
        self._seconds_since_touch = (self._seconds_since_touch + dt) * ~touched.any(axis=1)
        scored = self._game[:, BLUE_SCORE : ORANGE_SCORE + 1] - game[:, BLUE_SCORE : ORANGE_SCORE + 1]
        counted = self._car[..., SAVES : DEMOS + 1] - car[..., SAVES : DEMOS + 1]
        return self._state((ball, car), np.sign(scored[:, 0] - scored[:, 1]), counted, touched, faulty)

    def _respawn(self, active: BoolArray | None) -> None:
        """Bring demolished cars back by our own stream: RocketSim draws the place from the wall clock."""
        for i, c in np.argwhere(self._car[..., DEMOLISHED]):
            if active is not None and not active[i]:
                continue
            car = self._cars[i][c]
            if car.get_state().demo_respawn_timer <= self.step_seconds:
                car.respawn(seed=int(self.rngs[i].integers(MAX_SEED)))

    def _state(
        self,
        before: tuple[FloatArray, FloatArray],
        goal: FloatArray,
        counted: FloatArray,
        touched: BoolArray,
        faulty: BoolArray,
    ) -> GameState:
        """The present readings with goal (A,), counted saves, shots, demos (A, C, 3), touched (A, C), faulty (A,).

        ``before`` are the readings of ball and cars before the step.
        """
        ball, car = self._ball, self._car
        ball_before, car_before = before
        boost_before = np.where(car_before[..., DEMOLISHED] > 0.5, car[..., BOOST], car_before[..., BOOST])
        return GameState(
            ball=Ball(ball[:, 0:3], ball[:, 7:10], ball[:, 10:13], velocity_before=ball_before[:, 7:10]),
            cars=Cars(
                team=self.team,
                position=car[..., 11:14],
                velocity=car[..., 18:21],
                angular_velocity=car[..., 21:24],
                forward=car[..., 24:27],
                right=car[..., 27:30],
                up=car[..., 30:33],
                boost=car[..., BOOST],
                boost_before=boost_before,
                on_ground=car[..., ON_GROUND] > 0.5,
                has_flip=self._has_flip,
                demolished=car[..., DEMOLISHED] > 0.5,
                touched=touched,
                saves=counted[..., 0],
                shots=counted[..., 1],
                demos=counted[..., 2],
                controls=self._controls,
            ),
            pads=self._pad_seconds / PAD_SECONDS,
            goal=goal,
            seconds=self._seconds,
            seconds_since_touch=self._seconds_since_touch,
            faulty=faulty,
        )
