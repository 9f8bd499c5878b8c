"""How good is A against B: python scripts/evaluate.py A B --mode 1v1 --games 200 [--json out.json] [--seed 1] ..."""

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
    run("rlbot.play.command:main", sys.argv[1:])
