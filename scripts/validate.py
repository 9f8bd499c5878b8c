"""Is this machine ready to train?

    python scripts/validate.py

Prints [OK] or [ERROR] with the cure for each check; the exit code is 0 when all pass, 1 otherwise.
"""

import sys
from collections.abc import Callable

INSTALL = "python -m pip install -e ."


def check_environment() -> str:
    """RocketSimEnv is a Gymnasium environment and passes Gymnasium's own checker on real arenas."""
    import warnings

    import gymnasium
    from gymnasium.utils.env_checker import check_env

    from rlbot.game.env import RocketSimEnv

    if not issubclass(RocketSimEnv, gymnasium.Env):
        raise TypeError("RocketSimEnv does not inherit from gymnasium.Env")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checker dislikes infinite bounds
        check_env(gymnasium.make("RocketLeague/Soccar-v0").unwrapped)
    return "RocketSimEnv inherits from gymnasium.Env and passes check_env"


def check_trainer() -> str:
    """The trainer imports and is made of Lightning's parts."""
    import lightning

    from rlbot.ppo.data import RolloutDataModule
    from rlbot.ppo.module import PPO

    if not issubclass(PPO, lightning.LightningModule) or not issubclass(
        RolloutDataModule, lightning.LightningDataModule
    ):
        raise TypeError("PPO or RolloutDataModule is not Lightning's")
    return f"Trainer imports (lightning {lightning.__version__})"


def check_throughput() -> str:
    """The throughput monitor can read this machine."""
    import psutil

    from callbacks import Throughput

    Throughput()
    return f"Throughput monitor imports ({psutil.Process().memory_info().rss / 2**20:.0f} MB in use)"


def check_curriculum() -> str:
    """The curriculum has its three stages and accepts no other."""
    from callbacks import Curriculum, Stage

    modes = [stage.mode for stage in Curriculum().stages]
    if modes != ["1v1", "1v2", "2v2"]:
        raise ValueError(f"the stages are {modes}")
    try:
        Curriculum([Stage("3v3")])
    except ValueError:
        return "Curriculum is 1v1, 1v2, 2v2 and refuses 3v3"
    raise ValueError("the stage 3v3 was accepted")


def check_spaces() -> str:
    """One step in two arenas gives finite observations of the promised shape."""
    import gymnasium
    import numpy as np

    import rlbot  # noqa: F401 - registers the environment

    envs = gymnasium.make_vec("RocketLeague/Soccar-v0", num_envs=2)
    envs.reset(seed=1)
    observations, *_ = envs.step(envs.action_space.sample())
    envs.close()
    space, actions = envs.single_observation_space, envs.single_action_space
    if space.shape != (180,) or actions.shape != (8,) or not np.isfinite(observations).all():
        raise ValueError(f"observation {space.shape}, action {actions.shape}")
    return "Observation space (180,), action space (8,)"


def check_amp() -> str:
    """Automatic mixed precision works on the device that training will use."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layer = torch.nn.Linear(180, 90, device=device)
    kind = torch.float16 if device == "cuda" else torch.bfloat16
    with torch.amp.autocast(device, dtype=kind):
        outputs = layer(torch.ones(4, 180, device=device))
    torch.amp.GradScaler(device, enabled=device == "cuda").scale(outputs.float().sum()).backward()
    if outputs.dtype != kind or layer.weight.grad is None or not torch.isfinite(layer.weight.grad).all():
        raise RuntimeError(f"autocast gave {outputs.dtype}")
    return f"AMP: autocast {str(kind).removeprefix('torch.')} and gradients on {device}"


CHECKS: list[tuple[Callable[[], str], str]] = [
    (check_environment, f"{INSTALL}; the first run fetches the arena's meshes and needs the internet"),
    (check_trainer, INSTALL),
    (check_throughput, INSTALL),
    (check_curriculum, "restore callbacks/curriculum.py"),
    (check_spaces, INSTALL),
    (check_amp, 'python -m pip install --force-reinstall "torch>=2.10,<2.14"'),
]


def report(name: str, check: Callable[[], str], cure: str) -> bool:
    """Run one check and print how it went; whether it passed."""
    try:
        print(f"[OK] {name}: {check()}", flush=True)
    except Exception as error:  # whatever is broken is what this script is for
        line = " ".join(str(error).split()).encode("ascii", "backslashreplace").decode() or type(error).__name__
        print(f"[ERROR] {name}: {check.__name__}: {line}; cure: {cure}", flush=True)
        return False
    return True


def main() -> int:
    """Run every check; the exit code."""
    passed = sum(report(f"Test {number}", check, cure) for number, (check, cure) in enumerate(CHECKS, 1))
    print(f"Tests Passed: {passed}/{len(CHECKS)}")
    return 0 if passed == len(CHECKS) else 1


if __name__ == "__main__":
    sys.exit(main())
