"""From packet to controls: when to decide, what the car sees, what the policy makes of it."""

from typing import TYPE_CHECKING

import numpy as np

from rlbot.game.actions import NUM_CONTROLS
from rlbot.game.observations import DefaultObservation, others_in_order
from rlbot.league.numpy_policy import NumpyPolicy
from rlbot.play.bot.packets import Pads, cast, game_state
from rlbot.sim.state import FloatArray

if TYPE_CHECKING:
    from rlbot_flatbuffers import GamePacket

KICKOFF, ACTIVE, PAUSED = 2, 3, 6  # of MatchPhase: in the first two there is something to drive for


class Driver:
    """Drives one car. It decides as often as in training and repeats its controls in between.

    Args:
        policy: what decides.
        pads: the match's boost pads, which all drivers share.
        rng: where the noise of its decisions comes from.
    """

    def __init__(self, policy: NumpyPolicy, pads: Pads, rng: np.random.Generator) -> None:
        self._policy, self._pads, self._rng = policy, pads, rng
        self._observe = DefaultObservation()
        self._controls = np.zeros(NUM_CONTROLS, np.float32)
        self._decided: int | None = None  # the tick of the newest decision

    def controls(self, packet: "GamePacket", own: int) -> FloatArray:
        """(8,) throttle, steer, pitch, yaw, roll in [-1, 1]; jump, boost, handbrake 0 or 1, for player ``own``."""
        pads = self._pads.seen(packet)  # of every packet, or it misses when one is taken
        phase = int(packet.match_info.match_phase)
        if phase == PAUSED:
            return self._controls
        if phase not in (KICKOFF, ACTIVE) or not packet.balls:
            self._controls, self._decided = np.zeros(NUM_CONTROLS, np.float32), None
            return self._controls
        tick = packet.match_info.frame_num
        if self._decided is None or not 0 <= tick - self._decided < self._policy.tick_skip:
            self._controls, self._decided = self._decide(packet, own, pads), tick
        return self._controls

    def _decide(self, packet: "GamePacket", own: int, pads: FloatArray) -> FloatArray:
        players = cast(packet, own)
        me = players.index(own)
        last = np.zeros((len(players), NUM_CONTROLS), np.float32)
        last[me] = self._controls
        state = game_state(packet, players, pads, last)
        seen = self._observe(state, others_in_order(state.cars.team)[None])[:, me]
        controls: FloatArray = self._policy(seen, self._rng.random(1, np.float32))[0].clip(-1, 1)
        controls[5:] = controls[5:] > 0
        return controls
