"""How a worker process begins: it holds its end of the pipe before it imports torch.

On Windows a pipe's other end stays with the parent until the worker takes it; one that died while importing would never
be missed.
"""

import signal
from typing import Any


def begin(*given: Any) -> None:
    """Deaf to Ctrl-C, which goes to all processes and which the learner answers, do the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from rlbot.ppo.worker import work

    work(*given)
