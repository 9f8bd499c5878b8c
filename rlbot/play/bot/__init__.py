"""What an exported bot consists of: it speaks RLBot v5's protocol and needs NumPy and rlbot_flatbuffers only.

``rlbot.play.export`` copies these files, and those of ``game``, ``league`` and ``sim`` that they import, into the bot's
folder; there they are called ``parts``, for RLBot's own package is called ``rlbot`` too.
"""
