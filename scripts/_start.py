"""How a script begins: its command is called, or one line says what is missing. For this, rlbot cannot be asked yet."""

import sys


def start(target: str) -> None:
    """Call ``module:function`` with the words of the command line and leave with its exit code."""
    try:
        from rlbot.launch import run
    except ImportError as error:
        cure = ": install with 'python -m pip install -e .' first" if isinstance(error, ModuleNotFoundError) else ""
        print(f"[ERROR] {error}{cure}", file=sys.stderr)
        sys.exit(2)
    run(target, sys.argv[1:])
