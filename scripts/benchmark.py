"""How fast is training here, and why: python scripts/benchmark.py [--json FILE] [--peer | --tune | --curves FOLDER] ...

python scripts/benchmark.py --config configs/base.yaml --config configs/1v1.yaml
python scripts/benchmark.py --workload peers --peer
python scripts/benchmark.py --tune
python scripts/benchmark.py --curves docs/speed
"""

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
    run("rlbot.benchmark.command:main", sys.argv[1:])
