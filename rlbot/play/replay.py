"""A match to watch: every step of one arena, packed into a page that any browser opens from the disk.

The page's axes are x, up, y: RocketSim's are left-handed and the page's right-handed, so nothing is mirrored.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.sim.state import PAD_IS_BIG, PAD_POSITIONS, FloatArray, GameState

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("three.min.js", "match.js", "scene.js", "player.js")  # in the order in which they are run
MARK = '<meta name="generator" content="rlbot watch">'
HEAD = 1000  # bytes in which the mark stands
PAGE_AXES = [0, 2, 1]
LENGTH = 0.2  # uu that one count of a packed position is worth: 16 bits reach beyond the goals
DIRECTION = 1 / 32767
BOOST_CONTROL = 6
DEMOLISHED, BOOSTING = 1, 2  # bits of what a car does


class Recording:
    """Keeps the states of one arena, for a caller that hands out every state as ``play_matches`` does.

    Args:
        step_seconds: between two states.
    """

    def __init__(self, step_seconds: float) -> None:
        self.step_seconds = step_seconds
        self.states: list[GameState] = []

    def __call__(self, state: GameState) -> None:
        """Note one more state, with one arena in it."""
        self.states.append(state)

    def packed(self) -> dict[str, Any]:
        """What the page draws, for JSON. F states (frames) of C cars; bodies are the ball and then the cars.

        Arrays are base64 of little-endian numbers: position, forward, up (F, 1 + C, 3) int16; boost (F, C) 0 to 100 and
        deeds (F, C) bits, both uint8; pads (F, 5) uint8, a bit for each that is ready.
        """
        states = self.states
        ball, cars = [state.ball for state in states], [state.cars for state in states]
        turned = spin(np.concatenate([one.angular_velocity for one in ball]), self.step_seconds)
        position, forward, up = (
            np.concatenate([of_ball[:, None], of_cars], axis=1)[..., PAGE_AXES]
            for of_ball, of_cars in (
                (np.concatenate([one.position for one in ball]), np.concatenate([one.position for one in cars])),
                (turned[:, 0], np.concatenate([one.forward for one in cars])),
                (turned[:, 1], np.concatenate([one.up for one in cars])),
            )
        )
        boost = np.concatenate([one.boost for one in cars])
        boosting = np.concatenate([one.controls[..., BOOST_CONTROL] for one in cars]) > 0
        demolished = np.concatenate([one.demolished for one in cars])
        goal = np.concatenate([state.goal for state in states])
        pads = np.concatenate([state.pads for state in states]) == 0
        return {
            "step_seconds": self.step_seconds,
            "team": cars[0].team.tolist(),
            "length": LENGTH,
            "position": _text(_shorts(position, LENGTH)),
            "forward": _text(_shorts(forward, DIRECTION)),
            "up": _text(_shorts(up, DIRECTION)),
            "boost": _text(boost.round().astype(np.uint8)),
            "deeds": _text((demolished * DEMOLISHED + (boosting & (boost > 0)) * BOOSTING).astype(np.uint8)),
            "pads": _text(np.packbits(pads, axis=1)),
            "pad_places": np.column_stack([PAD_POSITIONS, PAD_IS_BIG]).tolist(),
            "kickoffs": [k for k, state in enumerate(states) if state.seconds[0] == 0],
            "goals": [[int(k), int(goal[k] < 0)] for k in np.flatnonzero(goal)],  # frame, team
            "touches": np.argwhere(np.concatenate([one.touched for one in cars])).tolist(),  # frame, car
        }


def spin(angular_velocity: FloatArray, step_seconds: float) -> NDArray[np.float64]:
    """(F, 2, 3) where a ball's forward and up point after turning with these rates (F, 3) rad/s, one a step.

    RocketSim keeps no rotation of a ball.
    """
    directions = np.empty((len(angular_velocity), 2, 3))
    now = np.eye(3)[[0, 2]]
    for k, rate in enumerate(np.asarray(angular_velocity, np.float64)):
        speed = float(np.linalg.norm(rate))
        if speed > 0:  # Rodrigues' formula
            axis, angle = rate / speed, speed * step_seconds
            along = (now @ axis)[:, None] * axis
            now = along + (now - along) * np.cos(angle) + np.cross(axis, now) * np.sin(angle)
        directions[k] = now
    return directions


def _shorts(numbers: NDArray[Any], unit: float) -> NDArray[np.int16]:
    return np.clip(np.rint(numbers / unit), -32767, 32767).astype("<i2")


def _text(numbers: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()


def page(match: dict[str, Any]) -> str:
    """One HTML file with everything in it: three.js, the scripts that draw, and the match.

    Args:
        match: what ``Recording.packed`` gives, and with it ``names`` of blue and orange, ``mode``, ``regular_seconds``.
    """
    data = json.dumps(match, separators=(",", ":")).replace("<", "\\u003c")  # no name may end the script
    scripts = "\n".join(f"<script>\n{(PAGE / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)
    template = (PAGE / "page.html").read_text(encoding="utf-8")
    return template.replace("<!-- generator -->", MARK).replace(
        "<!-- scripts -->", f'<script type="application/json" id="packed">{data}</script>\n{scripts}'
    )


def is_page(content: bytes) -> bool:
    """Whether a file's content, of which its head is enough, is a page that was made here."""
    return MARK.encode() in content[:HEAD]
