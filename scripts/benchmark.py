"""How fast is training here, and why: python scripts/benchmark.py [--json FILE] [--peer | --tune | --curves FOLDER] ...

python scripts/benchmark.py --config configs/base.yaml --config configs/1v1.yaml
python scripts/benchmark.py --workload peers --peer
python scripts/benchmark.py --tune
python scripts/benchmark.py --curves docs/speed
"""

from _start import start

if __name__ == "__main__":
    start("rlbot.benchmark.command:main")
