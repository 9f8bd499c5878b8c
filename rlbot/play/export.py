"""The export command: a checkpoint as a folder that RLBot plays in Rocket League, without this trainer."""

import argparse
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rlbot.arguments import Parser
from rlbot.errors import InputError, TryAgainError
from rlbot.files import write_whole
from rlbot.game.actions import TABLE
from rlbot.game.observations import SIZE, DefaultObservation, others_in_order
from rlbot.league.frozen import FrozenPolicy, rebuild, tick_skip_of
from rlbot.league.numpy_policy import FILE, FORMAT, MOST_TICKS, NumpyPolicy, chances
from rlbot.play.bot.bot import STATES, state_arrays, state_of
from rlbot.play.matches import play_matches
from rlbot.ppo.checkpoint import load
from rlbot.ppo.policy import ActorCritic, GaussianHead, TableHead
from rlbot.sim.state import TICKS_PER_SECOND, FloatArray, GameState
from rlbot.threads import one_thread

DESCRIPTION = """Make a bot for Rocket League of a checkpoint: a folder that RLBot v5 plays.

In RLBot, add the folder, put the bot into a match and start it. RLBot plays offline matches only."""

PACKAGE = Path(__file__).parents[1]
PARTS = (
    "errors.py", "sim/state.py", "game/actions.py", "game/observations.py", "game/mirror.py", "league/numpy_policy.py",
    "play/bot/packets.py", "play/bot/driver.py", "play/bot/client.py",
)  # fmt: skip
ENTRY = "play/bot/bot.py"
REQUIREMENTS = "numpy>=2.0\nrlbot-flatbuffers>=0.19,<0.20\n"
SETTINGS, LOOKS = "bot.toml", "loadout.toml"  # a person may change these: they are not written over
OCTANE = 23  # the car whose hitbox was trained with
NUM_MOMENTS, MODE = 250, "2v2"  # four cars each: 1,000 states
README = """{name}: a bot for Rocket League, {origin}.

It plays by RLBot v5 (rlbot.org): add this folder there, put the bot into a match, start the match. Matches are offline.
bot.toml holds its name, loadout.toml its looks; the car has to be an Octane or another with its hitbox.

On another PC it needs Python 3.10 or newer: python -m pip install -r requirements.txt
There "run_command" in bot.toml may have to name that Python; "run_command_linux" is the same for Linux.

python bot.py --selftest   tries it without the game.
"""
EDGE = 1e-4  # noise that is nearer than this to where one row ends and another begins proves nothing


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="whose policy is to play")
    parser.add_argument(
        "--out", type=Path, default=Path("bots/my_bot"), metavar="FOLDER", help="the bot (default: bots/my_bot)"
    )
    parser.add_argument("--name", help="in the game (default: the folder's name)")
    parser.add_argument(
        "--deterministic", action="store_true", help="it takes its most likely action instead of drawing one"
    )
    return parser.parse_args(arguments)


def _check_out(folder: Path) -> None:
    """Nothing else is written over, and what cannot be written is told at once."""
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(f"--out {folder}: is no folder")
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / FILE).is_file():
            raise InputError(f"--out {folder}: holds something else than a bot of this command, name another folder")
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out {folder}: cannot be written")


def numpy_policy(path: Path, deterministic: bool = False) -> NumpyPolicy:
    """The policy of a checkpoint in NumPy.

    Raises:
        InputError: the file is no checkpoint, or its policy cannot play Rocket League.
    """
    FrozenPolicy.load(path)  # says what is wrong with it, if anything
    checkpoint = load(path)
    policy, architecture = rebuild(checkpoint), checkpoint["architecture"]
    if policy.view.observation_size != SIZE:
        raise InputError(f"{path}: its policy sees {policy.view.observation_size} numbers, and a bot sees {SIZE}")
    if (tick_skip := tick_skip_of(architecture)) > MOST_TICKS:
        raise InputError(f"{path}: it decides every {tick_skip} ticks, and a bot at least every {MOST_TICKS}")
    made: dict[str, Any] = {
        "format": FORMAT,
        "observation": SIZE,
        "tick_skip": tick_skip,
        "canonical": policy.view.mirror is not None,
        "close_up": policy.view.close_up,
        "gaussian_scale": policy.head.scale if isinstance(policy.head, GaussianHead) else None,
        "deterministic": deterministic,
    }
    return NumpyPolicy(made, _arrays(policy), str(path))


@torch.no_grad()
def _arrays(policy: ActorCritic) -> dict[str, Any]:
    head, layers, norms = policy.head, list[nn.Linear](), list[nn.LayerNorm]()
    for module in policy.actor.modules():
        if isinstance(module, nn.Linear):
            layers.append(module)
        elif isinstance(module, nn.LayerNorm):
            norms.append(module)
    arrays = {"table": TABLE}
    for k, layer in enumerate(layers):
        arrays |= {f"weight_{k}": layer.weight.numpy(), f"bias_{k}": layer.bias.numpy()}
    for k, norm in enumerate(norms):
        arrays |= {f"gain_{k}": norm.weight.numpy(), f"shift_{k}": norm.bias.numpy()}
    if isinstance(head, TableHead) and head.mask is not None:
        arrays["blocked"] = head.mask.blocked.numpy()
    return arrays


def _recorded(policy: NumpyPolicy, frozen: FrozenPolicy) -> dict[str, Any]:
    """Moments of a match of the checkpoint against itself: what cars saw, and what the checkpoint does there."""
    states: list[GameState] = []
    with one_thread():
        play_matches(
            frozen, frozen, MODE, 1, [0], overtime_seconds=0.0,
            regular_seconds=1.2 * NUM_MOMENTS * frozen.tick_skip / TICKS_PER_SECOND,
            tick_skip=frozen.tick_skip, show=states.append,
        )  # fmt: skip
        taken = [state_arrays(states[k]) for k in np.linspace(0, len(states) - 1, NUM_MOMENTS).round().astype(int)]
        moments = {key: np.concatenate([one[key] for one in taken]) for key in taken[0] if key != "cars.team"}
        moments["cars.team"] = taken[0]["cars.team"]
        order = np.tile(others_in_order(moments["cars.team"]), (NUM_MOMENTS, 1, 1))
        observations = DefaultObservation()(state_of(moments), order)
        noise = _clear_noise(policy, observations)
        controls = frozen(observations, noise)
    return moments | {"order": order, "observations": observations, "noise": noise, "controls": controls}


def _clear_noise(policy: NumpyPolicy, observations: FloatArray) -> FloatArray:
    """(N, C) noise that tells rows apart, whatever the last bit: never close to where one ends and another begins."""
    edges = chances(policy.outputs(observations.reshape(-1, SIZE))[0])
    rng = np.random.default_rng(0)
    noise = rng.random(len(edges), np.float32)
    while (unclear := np.abs(edges - noise[:, None]).min(1) < EDGE).any():
        noise[unclear] = rng.random(int(unclear.sum()), np.float32)
    return noise.reshape(observations.shape[:-1])


def files(name: str, agent_id: str, origin: str, developer: str) -> dict[str, str]:
    """The texts of a bot's folder, by name."""
    texts = {f"parts/{Path(part).name}": _moved(part) for part in PARTS}
    texts["parts/__init__.py"] = '"""What bot.py is made of: see README.txt."""\n'
    texts["bot.py"] = _moved(ENTRY)
    texts["requirements.txt"] = REQUIREMENTS
    texts["loadout.toml"] = "".join(f"[{team}_loadout]\ncar_id = {OCTANE}\n" for team in ("blue", "orange"))
    on_windows, on_linux = (_command(), "python3 bot.py") if os.name == "nt" else ("python bot.py", _command())
    settings = {
        "agent_id": agent_id, "name": name, "loadout_file": "loadout.toml",
        "run_command": on_windows, "run_command_linux": on_linux,
    }  # fmt: skip
    details = {
        "description": f"Trained with rlbot-lightning: {origin}", "developer": developer, "language": "python",
        "tags": ["1v1", "teamplay"],
    }  # fmt: skip
    texts["bot.toml"] = _toml("settings", settings) + "\n" + _toml("details", details)
    texts["README.txt"] = README.format(name=name, origin=origin)
    return texts


def _command() -> str:
    return f"{_in_shell(sys.executable)} bot.py"


def _in_shell(program: str) -> str:
    """A program's path as RLBot's ``cmd.exe /c ...`` or ``sh -c "..."`` understands it."""
    if os.name != "nt":
        return shlex.quote(program)
    return f'call "{program}"' if re.search(r"[^\w.:\\-]", program) else program  # cmd drops quotes that come first


def _moved(part: str) -> str:
    """A file of this package as it stands in a bot's folder: what it imports of ours lies in ``parts``."""
    text = (PACKAGE / part).read_text(encoding="utf-8")
    return re.sub(r"from rlbot\.(?:\w+\.)*(\w+) import", r"from parts.\1 import", text)


def _toml(table: str, values: Mapping[str, Sequence[str]]) -> str:
    """TOML writes strings and lists of them as JSON does."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[{table}]", *lines]) + "\n"


def _write(
    folder: Path, texts: dict[str, str], policy: NumpyPolicy, recorded: dict[str, Any], left: Sequence[str]
) -> None:
    """Write all but what is ``left`` as it is."""
    for name, arrays in ((FILE, policy.packed()), (STATES, recorded)):  # the first makes it a bot's folder
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_whole(folder / name, content.getbuffer())
    (folder / "parts").mkdir(exist_ok=True)
    for name, text in texts.items():
        if name not in left:
            write_whole(folder / name, text.encode("utf-8", "backslashreplace"))


def main(arguments: Sequence[str]) -> int:
    """Parse, write the folder and let the bot test itself; the exit code.

    Raises:
        InputError: what was given cannot be used.
        TryAgainError: the folder could not be written.
    """
    given = _parse(arguments)
    name = given.name or given.out.resolve().name
    if not name.isprintable():
        raise InputError(f"--name {name!r}: holds what cannot be printed")
    policy = numpy_policy(given.checkpoint, given.deterministic)
    _check_out(given.out)
    left = [file for file in (SETTINGS, LOOKS) if (given.out / file).is_file()]
    if given.name and SETTINGS in left:
        left.remove(SETTINGS)
    agent_id = _agent_id(given.out) if SETTINGS in left else f"rlbot-lightning/{_slug(name)}_{_fingerprint(policy)}"
    policy.facts = {**policy.facts, "agent_id": agent_id}
    metadata = load(given.checkpoint).get("metadata", {})
    trained = metadata.get("timesteps")
    origin = f"{given.checkpoint.name}, {trained:,} timesteps" if trained is not None else given.checkpoint.name
    texts = files(name, agent_id, origin, metadata.get("username", ""))
    recorded = _recorded(policy, FrozenPolicy.load(given.checkpoint))
    try:
        _write(given.out, texts, policy, recorded, left)
    except OSError as error:
        raise TryAgainError(f"--out {given.out}: not written ({error.strerror})") from error
    tested = subprocess.run(
        [sys.executable, "bot.py", "--selftest"], cwd=given.out, capture_output=True, text=True, errors="replace"
    )
    if tested.returncode != 0:
        raise RuntimeError(f"{given.out}: {tested.stderr.strip()}")
    if left:
        print(f"[OK] Kept as they were: {', '.join(left)}")
    if SETTINGS in left and json.dumps(_command())[1:-1] not in (given.out / SETTINGS).read_text(encoding="utf-8"):
        print(f"[WARN] {SETTINGS} starts the bot with another Python than this one: --name writes it anew")
    print(f"[OK] {given.out} plays as {given.checkpoint} does: tested on {recorded['noise'].size:,} states")
    print("[OK] Next: add this folder in RLBot (rlbot.org) and start a match with it; matches are offline")
    return 0


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()


def _fingerprint(policy: NumpyPolicy) -> str:
    """Tells bots of one name apart: RLBot hands a car to whoever comes with its ``agent_id``."""
    sha = hashlib.sha256(json.dumps(policy.facts).encode())
    for _, array in sorted(policy.arrays.items()):
        sha.update(array.tobytes())
    return sha.hexdigest()[:8]


def _agent_id(folder: Path) -> str:
    """What a kept ``bot.toml`` says."""
    said = re.search(r'^agent_id\s*=\s*"(.*)"', (folder / SETTINGS).read_text(encoding="utf-8"), re.MULTILINE)
    if said is None:
        raise InputError(f"--out {folder}: its {SETTINGS} names no agent_id; correct or delete it")
    return said[1]
