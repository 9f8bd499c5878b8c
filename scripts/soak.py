"""Can a run be left alone: python scripts/soak.py [--timesteps 1000000] [--config FILE ...]."""

from _start import start

if __name__ == "__main__":
    start("rlbot.soak.command:main")
