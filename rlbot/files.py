"""Files of which a name always means a whole one."""

import contextlib
import os
import time
from pathlib import Path

# Seconds between tries to rename: Windows refuses while another program, as a virus scanner, reads what is there.
WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6) if os.name == "nt" else ()


def write_whole(target: Path, content: bytes | memoryview) -> None:
    """Write beside the target, flush to the disk and rename; where it fails, what was there stays.

    Raises:
        OSError: it failed, as on a full disk.
    """
    scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        rename(scratch, target)
    except BaseException:  # Ctrl-C too
        scratch.unlink(missing_ok=True)
        raise


def rename(source: Path, target: Path) -> None:
    """Let the target's name mean the source, at once."""
    for seconds in WAITS:
        with contextlib.suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(seconds)
    os.replace(source, target)
