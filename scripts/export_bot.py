"""A bot for the real game: python scripts/export_bot.py CHECKPOINT --out bots/my_bot [--name NAME] ..."""

from _start import start

if __name__ == "__main__":
    start("rlbot.play.export:main")
