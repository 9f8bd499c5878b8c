"""Is the PPO right: python scripts/prove.py [--seeds 1 2 3]."""

from _start import start

if __name__ == "__main__":
    start("rlbot.compare.known_tasks:main")
