"""A server of RLBot v5's protocol with RocketSim as the game, for one bot that drives one car."""

import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import rlbot_flatbuffers as flat

from rlbot.game.starts import Kickoff
from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import PAD_IS_BIG, PAD_POSITIONS

PACKET_PADS = sorted(range(34), key=lambda k: (PAD_POSITIONS[k][1], PAD_POSITIONS[k][0]))  # the game's order
FIRST_TICK = 5000
FIRST_ID = 900  # of the players: no identifier is an index


class Server:
    """Starts the bot of a folder and welcomes it; then each ``tick`` is one packet and one answer.

    Args:
        folder: of the bot.
        blue, orange: number of cars.
        own: which car the bot drives.
    """

    def __init__(self, folder: Path, blue: int, orange: int, own: int) -> None:
        self.own, self.number = own, FIRST_TICK
        self.arenas = ArenaBatch([np.random.default_rng(3)], blue, orange, tick_skip=1)
        self.state = self.arenas.reset([(0, Kickoff()(self.arenas.rngs[0], self.arenas.team))])
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(60)
            host, port = listening.getsockname()
            words = {"RLBOT_SERVER_IP": host, "RLBOT_SERVER_PORT": str(port), "RLBOT_AGENT_ID": "given/by_rlbot"}
            self.bot = subprocess.Popen(
                [sys.executable, "bot.py"], cwd=folder, env=os.environ | words, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            self._socket = listening.accept()[0]
        self._socket.settimeout(60)
        self.settings = self._read()
        places = [_vector((*PAD_POSITIONS[k], 70)) for k in PACKET_PADS]
        pads = [flat.BoostPad(*pad) for pad in zip(places, PAD_IS_BIG[PACKET_PADS].tolist(), strict=True)]
        field = flat.FieldInfo(pads)
        team = int(self.arenas.team[own])
        self._send(flat.ControllableTeamInfo(team, [flat.ControllableInfo(own, FIRST_ID + own)]))
        self._send(flat.PingRequest(7))
        self._send(field)
        self._send(flat.MatchConfiguration())
        self.ready = [self._read(), self._read()]

    def tick(self, others=(), phase=flat.MatchPhase.Active, balls=1, missing=0):
        """Tell the bot of the moment, but of the first cars, let all act for a tick; what the bot pressed (8,)."""
        self._send(self._packet(phase, balls, missing))
        answer = self._read()
        pressed = answer.controller_state
        controls = np.zeros((1, len(self.arenas.team), 8), np.float32)
        for car, its in others:
            controls[0, car] = its
        controls[0, answer.player_index] = [
            pressed.throttle, pressed.steer, pressed.pitch, pressed.yaw, pressed.roll,
            pressed.jump, pressed.boost, pressed.handbrake,
        ]  # fmt: skip
        assert answer.player_index == self.own
        self.state = self.arenas.step(controls)
        self.number += 1
        return controls[0, self.own]

    def end(self):
        """End the match; the bot's exit code and what it printed."""
        self._send(flat.DisconnectSignal())
        out, err = self.bot.communicate(timeout=30)
        return self.bot.returncode, out, err

    def close(self):
        """Whatever became of the match: nothing of it stays."""
        self._socket.close()
        self.bot.kill()
        self.bot.communicate()

    def _packet(self, phase, balls, missing):
        ball = self.state.ball
        physics = flat.Physics(
            _vector(ball.position[0]), flat.Rotator(), _vector(ball.velocity[0]), _vector(ball.angular_velocity[0])
        )
        arena = self.arenas._arenas[0]
        active = [pad.get_state().is_active for pad in arena.get_boost_pads()]
        return flat.GamePacket(
            players=[self._player(k) for k in range(missing, len(self.arenas.team))],
            boost_pads=[flat.BoostPadState(active[k], -5.0) for k in PACKET_PADS],  # its timer is not to be trusted
            balls=[flat.BallInfo(physics)] * balls,
            match_info=flat.MatchInfo(match_phase=phase, frame_num=self.number),
        )

    def _player(self, k):
        cars, car = self.state.cars, self.arenas._cars[0][k].get_state()
        forward, right, up = (getattr(cars, name)[0, k] for name in ("forward", "right", "up"))
        angles = flat.Rotator(
            math.asin(max(-1.0, min(float(forward[2]), 1.0))), math.atan2(forward[1], forward[0]),
            math.atan2(-right[2], up[2]),
        )  # fmt: skip
        state = flat.AirState.InAir
        if car.is_on_ground:
            state = flat.AirState.OnGround
        elif car.is_jumping:
            state = flat.AirState.Jumping
        elif car.is_flipping:
            state = flat.AirState.Dodging
        left = 1.25 - car.air_time_since_jump
        waits = car.has_jumped and not car.is_jumping and not car.is_on_ground and left > 0
        return flat.PlayerInfo(
            physics=flat.Physics(
                _vector(cars.position[0, k]), angles, _vector(cars.velocity[0, k]), _vector(cars.angular_velocity[0, k])
            ),
            air_state=state,
            dodge_timeout=left if waits else -1.0,
            demolished_timeout=1.0 if cars.demolished[0, k] else -1.0,
            team=int(self.arenas.team[k]),
            boost=float(cars.boost[0, k]),
            player_id=FIRST_ID + k,
            has_jumped=bool(car.has_jumped),
            has_double_jumped=bool(car.has_double_jumped),
            has_dodged=bool(car.has_flipped),
        )

    def _send(self, message):
        body = flat.CorePacket(message).pack()
        self._socket.sendall(len(body).to_bytes(2, "big") + body)

    def _read(self):
        return flat.InterfacePacket.unpack(self._exactly(int.from_bytes(self._exactly(2), "big"))).message

    def _exactly(self, size):
        parts = b""
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            assert part, f"the bot hung up: {self.bot.communicate(timeout=30)}"
            parts += part
        return parts


def _vector(numbers):
    return flat.Vector3(*(float(number) for number in numbers))
