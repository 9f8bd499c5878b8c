"""Which recipe learns best: python scripts/compare.py base=configs/1v1.yaml mine=my.yaml --out found [--seeds 1] ..."""

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
    run("rlbot.compare.command:main", sys.argv[1:])
