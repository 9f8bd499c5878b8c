"""Trains Rocket League bots: PPO in Lightning on vectorised RocketSim arenas."""

from importlib.metadata import PackageNotFoundError, distribution

import gymnasium

try:
    _foreign = distribution("rlbot")
except PackageNotFoundError:
    pass
else:
    raise ImportError(
        f"the distribution 'rlbot' {_foreign.version} (the RLBot interface) is installed beside this trainer and both "
        "are imported as 'rlbot': run 'python -m pip uninstall -y rlbot', reinstall this project, and keep RLBot in an "
        "environment of its own"
    )

gymnasium.register(
    id="RocketLeague/Soccar-v0",
    entry_point="rlbot.game.env:RocketSimEnv",
    vector_entry_point="rlbot.game.env:RocketSimVectorEnv",
)
