"""How good is A against B: python scripts/evaluate.py A B --mode 1v1 --games 200 [--json out.json] [--seed 1] ..."""

from _start import start

if __name__ == "__main__":
    start("rlbot.play.command:main")
