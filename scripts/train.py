"""Train a bot: python scripts/train.py --config configs/base.yaml [--debug] [--timesteps N] [--device cuda] ..."""

from _start import start

if __name__ == "__main__":
    start("rlbot.cli:train")
