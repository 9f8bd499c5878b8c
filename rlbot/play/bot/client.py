"""A client of the RLBot v5 server: TCP, frames of two bytes of length and a flatbuffer."""

import contextlib
import os
import select
import socket
from collections.abc import Callable
from typing import NamedTuple

import rlbot_flatbuffers as flat
from rlbot_flatbuffers import CorePacket, GamePacket, InterfacePacket

from rlbot.sim.state import FloatArray

ADDRESS = ("127.0.0.1", 23234)


class Welcome(NamedTuple):
    """What the server says before the match.

    Attributes:
        field: the map.
        team: 0 blue, 1 orange.
        cars: (index, identifier) of the players to drive.
    """

    field: flat.FieldInfo
    team: int
    cars: list[tuple[int, int]]


class Client:
    """A connection to the server, from the words of the environment that RLBot starts a bot with.

    Args:
        agent_id: used where the environment names none.

    Raises:
        OSError: there is no server.
    """

    def __init__(self, agent_id: str) -> None:
        host = os.environ.get("RLBOT_SERVER_IP") or ADDRESS[0]
        port = int(os.environ.get("RLBOT_SERVER_PORT") or ADDRESS[1])
        self._agent_id = os.environ.get("RLBOT_AGENT_ID") or agent_id
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def join(self) -> Welcome | None:
        """Announce the bot and wait for the match; None where the server ends before."""
        settings = flat.ConnectionSettings(self._agent_id, False, False, close_between_matches=True)
        self._send(settings)
        field = cars = configuration = None
        while field is None or cars is None or configuration is None:
            message = self._next()
            if message is None:
                return None
            if isinstance(message, flat.FieldInfo):
                field = message
            elif isinstance(message, flat.ControllableTeamInfo):
                cars = message
            elif isinstance(message, flat.MatchConfiguration):
                configuration = message
        self._send(flat.InitComplete())
        return Welcome(field, cars.team, [(car.index, car.identifier) for car in cars.controllables])

    def play(self, drive: Callable[[GamePacket], list[tuple[int, FloatArray]]]) -> None:
        """Answer packets until the server ends the match.

        Args:
            drive: gives (player index, controls (8,)) for the cars to drive; it is asked about the newest packet only.
        """
        newest: GamePacket | None = None
        while (message := self._next()) is not None:
            if isinstance(message, GamePacket):
                newest = message
            if newest is not None and not self._more():
                for index, controls in drive(newest):
                    self._send(flat.PlayerInput(index, _pressed(controls)))
                newest = None

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _next(self) -> object | None:
        """The next message; None at the end of the connection. Pings are answered."""
        while True:
            head = self._read(2)
            body = self._read(int.from_bytes(head, "big")) if head is not None else None
            if body is None:
                return None
            message = CorePacket.unpack(body).message
            if isinstance(message, flat.DisconnectSignal):
                return None
            if not isinstance(message, flat.PingRequest):
                return message
            self._send(flat.PingResponse(message.cookie))

    def _read(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._socket.recv(size - len(parts))
            except ConnectionError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)

    def _more(self) -> bool:
        """Whether something of a later message is here already."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def _send(self, message: object) -> None:
        body = InterfacePacket(message).pack()  # type: ignore[arg-type]
        with contextlib.suppress(ConnectionError):  # the next read tells that the match is over
            self._socket.sendall(len(body).to_bytes(2, "big") + body)


def _pressed(controls: FloatArray) -> flat.ControllerState:
    throttle, steer, pitch, yaw, roll, jump, boost, handbrake = controls.tolist()
    return flat.ControllerState(throttle, steer, pitch, yaw, roll, jump > 0, boost > 0, handbrake > 0)
