"""Train a bot: python scripts/train.py --config configs/base.yaml [--debug] [--timesteps N] [--device cuda] ..."""

import sys

try:
    from rlbot.launch import run
except ImportError as error:
    missing = isinstance(error, ModuleNotFoundError)
    print(
        f"[ERROR] {error}" + (": install with 'python -m pip install -e .' first" if missing else ""), file=sys.stderr
    )
    sys.exit(2)

if __name__ == "__main__":
    run("rlbot.cli:train", sys.argv[1:])
