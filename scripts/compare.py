"""Which recipe learns best: python scripts/compare.py base=configs/1v1.yaml mine=my.yaml --out found [--seeds 1] ..."""

from _start import start

if __name__ == "__main__":
    start("rlbot.compare.command:main")
