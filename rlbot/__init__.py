"""Trains Rocket League bots: PPO in Lightning on vectorised RocketSim arenas."""

import os
import sys
from importlib.metadata import PackageNotFoundError, distribution

import gymnasium

try:
    _foreign = distribution("rlbot")
except PackageNotFoundError:
    pass
else:
    _message = (
        f"the distribution 'rlbot' {_foreign.version} (the RLBot interface) is installed beside this trainer and both "
        "are imported as 'rlbot': run 'python -m pip uninstall -y rlbot', reinstall this project, and keep RLBot in an "
        "environment of its own"
    )
    if os.path.basename(sys.argv[0]) in ("-m", "rlbot", "rlbot.exe"):  # the rlbot command: one line, no traceback
        print(f"[ERROR] {_message}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(_message)

gymnasium.register(
    id="RocketLeague/Soccar-v0",
    entry_point="rlbot.game.env:RocketSimEnv",
    vector_entry_point="rlbot.game.env:RocketSimVectorEnv",
)
