"""Other commands of this project, called in processes of their own."""

import subprocess
import sys

from rlbot.__main__ import ROOT

RUNNING: set[subprocess.Popen[str]] = set()  # and not told to stop


class CallError(RuntimeError):
    """A command that was called failed; ``exit_code`` is 2 where that was its own, else 1."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = 2 if code == 2 else 1


def call(script: str, *words: str) -> None:
    """Run a script and wait for it.

    Raises:
        CallError: it failed; the message has its own last one.
    """
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *words]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        RUNNING.add(process)
        try:
            said = process.communicate()[1].splitlines()
        except BaseException:  # a signal
            process.terminate()
            raise
        finally:
            RUNNING.discard(process)
    if process.returncode:
        lines = [line for line in said if line.startswith("[ERROR] ")] or said or [f"exit code {process.returncode}"]
        reason = lines[-1].removeprefix("[ERROR] ")
        raise CallError(f"{script} {' '.join(words)}: {reason}", process.returncode)


def stop() -> None:
    """Tell every command that runs to save and stop, each once; on Windows it ends at once, and its last save stays."""
    for process in tuple(RUNNING):
        RUNNING.discard(process)
        process.terminate()
