"""What more machines bring: python scripts/scaling.py [--collect 2.5 --spread 0.1 ...] [--json out.json]."""

from _start import start

if __name__ == "__main__":
    start("rlbot.benchmark.scaling:main")
