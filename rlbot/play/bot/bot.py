"""Plays Rocket League when RLBot starts it.

``python bot.py --selftest`` asks whether it decides as it did when it was exported, and needs no game.
"""

import dataclasses
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from rlbot_flatbuffers import InvalidFlatbuffer

    from rlbot.errors import InputError
    from rlbot.game.observations import DefaultObservation
    from rlbot.league.numpy_policy import NumpyPolicy
    from rlbot.play.bot.client import Client
    from rlbot.play.bot.driver import Driver
    from rlbot.play.bot.packets import Pads, pad_order
    from rlbot.sim.state import Ball, Cars, GameState
except ModuleNotFoundError as missing:
    cure = "export it again" if "parts" in str(missing.name) else "python -m pip install -r requirements.txt"
    print(f"[ERROR] {missing}: {cure}", file=sys.stderr)
    raise SystemExit(2) from missing

HERE = Path(__file__).parent
STATES = "states.npz"
ALIKE = 1e-4  # of numbers: other processors round otherwise
PATIENCE = 60.0  # seconds to wait for RLBot's server


def state_arrays(state: GameState) -> dict[str, Any]:
    """The arrays of a state by name, to be saved."""
    parts: dict[str, Any] = {"ball": state.ball, "cars": state.cars, "state": state}
    return {
        f"{name}.{field.name}": array
        for name, part in parts.items()
        for field in dataclasses.fields(part)
        if isinstance(array := getattr(part, field.name), np.ndarray)
    }


def state_of(arrays: dict[str, Any]) -> GameState:
    """The state that ``state_arrays`` took apart."""

    def of(name: str) -> dict[str, Any]:
        return {key.split(".")[1]: array for key, array in arrays.items() if key.split(".")[0] == name}

    return GameState(ball=Ball(**of("ball")), cars=Cars(**of("cars")), **of("state"))


def selftest(policy: NumpyPolicy, folder: Path) -> str | None:
    """Whether the bot sees and decides what it did when it was exported; if not, what differs.

    Raises:
        InputError: the recorded states cannot be read.
    """
    try:
        with (folder / STATES).open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
        order, noise, seen, wanted = (arrays.pop(name) for name in ("order", "noise", "observations", "controls"))
        state = state_of(arrays)
    except Exception as error:  # a damaged file can provoke anything
        raise InputError(f"{folder / STATES}: cannot be read ({type(error).__name__})") from error
    observations = DefaultObservation()(state, order)
    if not np.allclose(observations, seen, atol=ALIKE, rtol=0):
        return "it sees other numbers"
    draws = NumpyPolicy({**policy.facts, "deterministic": False}, policy.arrays, policy.name)
    same = np.isclose(draws(seen, noise), wanted, atol=ALIKE, rtol=0).all(-1)
    return None if same.all() else f"it decides otherwise in {same.size - same.sum()} of {same.size} recorded states"


def play(policy: NumpyPolicy, agent_id: str, patience: float = PATIENCE) -> int:
    """Play the match that RLBot's server has for it; the exit code."""
    until = time.monotonic() + patience
    while True:
        try:
            client = Client(agent_id)
            break
        except OSError as error:
            if time.monotonic() > until:
                print(f"[ERROR] no RLBot server ({error}): start a match with this bot in RLBot", file=sys.stderr)
                return 75
            time.sleep(0.1)
    try:
        return _play(policy, client, agent_id)
    except InvalidFlatbuffer as error:
        print(f"[ERROR] {error}: RLBot speaks another version; try a newer rlbot-flatbuffers", file=sys.stderr)
        return 2


def _play(policy: NumpyPolicy, client: Client, agent_id: str) -> int:
    welcome = client.join()
    if welcome is None:
        return 0
    if not welcome.cars:
        print(f"[ERROR] the match has no car for this bot: bot.toml's agent_id is not {agent_id}?", file=sys.stderr)
        return 2
    order = pad_order(welcome.field.boost_pads)
    if order is None:
        print("[WARN] This map has other boost pads than the standard ones: the bot counts all as ready", flush=True)
    pads = Pads(order)
    drivers = {identifier: (k, Driver(policy, pads, np.random.default_rng())) for k, identifier in welcome.cars}
    print(f"[OK] Driving {len(drivers)} of {('blue', 'orange')[welcome.team]}'s cars", flush=True)

    def drive(packet: Any) -> list[tuple[int, Any]]:
        """The server knows a car by its index; where it stands in a packet is told by its identifier."""
        places = {player.player_id: place for place, player in enumerate(packet.players)}
        return [
            (index, driver.controls(packet, places[identifier]))
            for identifier, (index, driver) in drivers.items()
            if identifier in places
        ]

    client.play(drive)
    client.close()
    return 0


def main(arguments: Sequence[str], folder: Path = HERE) -> int:
    """Test the bot, and without ``--selftest`` play; the exit code."""
    for stream in (sys.stdout, sys.stderr):  # no letter of a folder's name ends a match on any console
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="ascii", errors="backslashreplace", line_buffering=True)
    if list(arguments) not in ([], ["--selftest"]):
        print("usage: python bot.py [--selftest]", file=sys.stderr)
        return 2
    try:
        policy = NumpyPolicy.load(folder)
        differs = selftest(policy, folder)
    except InputError as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        return 2
    if differs is not None:
        print(f"[ERROR] This is not the bot that was exported: {differs}; export it again", file=sys.stderr)
        return 2
    print("[OK] It sees and decides in all recorded states what it did when it was exported", flush=True)
    return 0 if arguments else play(policy, policy.facts["agent_id"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
