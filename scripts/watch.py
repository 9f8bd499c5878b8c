"""Watch a match in a browser: python scripts/watch.py A [B] --mode 2v2 --out match.html [--no-open] [--seed 1] ..."""

from _start import start

if __name__ == "__main__":
    start("rlbot.play.watch:main")
