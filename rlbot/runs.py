"""A run's folder: who holds it, what it keeps, and which of its checkpoints can be trusted."""

import contextlib
import errno
import os
import re
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rlbot.errors import InputError, TryAgainError
from rlbot.ppo.checkpoint import load

LAST = "last.ckpt"
CHECKPOINTS = "checkpoints"
PARTS = {"state_dict", "optimizer_states", "RolloutDataModule", "callbacks", "metadata", "architecture"}
FIRST = "train first without --ckpt_path, or name the run with --logdir"
NUMBERED = re.compile(r"timesteps_(\d{12})\.ckpt")


def checkpoint_folder(logdir: str) -> str:
    """Where a run's checkpoints are; ``~`` in ``logdir`` is the user's folder."""
    return str(Path(logdir).expanduser() / CHECKPOINTS)


def numbered_name(timesteps: int) -> str:
    """File name of the checkpoint at this many timesteps."""
    return f"timesteps_{timesteps:012d}.ckpt"


def numbered_checkpoints(folder: Path) -> dict[int, Path]:
    """Numbered checkpoint files of a folder by their timesteps, oldest first."""
    found = ((NUMBERED.fullmatch(file.name), file) for file in folder.glob("*.ckpt"))
    return dict(sorted((int(match[1]), file) for match, file in found if match))


def load_run(path: Path) -> dict[str, Any]:
    """Read a checkpoint that a run can go on from.

    Raises:
        InputError: the file is damaged, not from this trainer, or lacks a part of the run's state.
    """
    checkpoint = load(path)
    if missing := PARTS - checkpoint.keys():
        raise InputError(f"ckpt_path={path}: no run can go on from it: it lacks {', '.join(sorted(missing))}")
    return checkpoint


def newest_valid(folder: Path) -> tuple[Path, list[str]]:
    """The newest checkpoint of a run that can be read, and what had to be skipped on the way.

    Raises:
        InputError: there is none.
    """
    last = folder / LAST
    candidates = [last] if last.is_file() else []
    candidates += reversed(numbered_checkpoints(folder).values())
    skipped: list[str] = []
    for path in candidates:
        reason = why_invalid(path)
        if reason is None:
            return path, skipped
        skipped.append(reason)
    raise InputError(
        "; ".join([f"ckpt_path=last: {folder} holds no checkpoint that can be read", *(skipped or [FIRST])])
    )


def why_invalid(path: Path) -> str | None:
    """Why ``load_run`` refuses the file; None if it does not."""
    try:
        load_run(path)
    except InputError as error:
        return str(error)
    return None


def _unwritable(path: Path, error: OSError) -> Exception:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return (TryAgainError if full else InputError)(f"logdir={path}: cannot be written ({error.strerror})")


class RunFolder:
    """The folder of one run, held by one process at a time.

    Args:
        path: the folder.
        resume: go on in what is there; otherwise an earlier run there is moved aside, never destroyed.

    Raises:
        InputError: the folder cannot be written, holds something else than a run, or another process holds it.
    """

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        if path.name in ("", ".."):
            raise InputError(f"logdir={path}: must name a folder of the run's own")
        parent = path.absolute().parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            real = path.resolve()  # one lock, whatever links lead here
            self._lock = FileLock(real.parent / f".{real.name}.lock")
            self._holder = real.parent / f".{real.name}.pid"
            self._lock.acquire(timeout=0)
            self._holder.write_text(str(os.getpid()), encoding="utf-8")
        except Timeout:
            raise InputError(
                f"logdir={path}: the run of process {self._who()} uses this folder; choose another --logdir"
            ) from None
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            if not resume:
                self._move_aside()
            (path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            for leftover in (*path.glob("*.tmp"), *path.glob("*/*.tmp")):
                leftover.unlink()
            probe = path / ".writable"
            probe.write_bytes(b"")
            probe.unlink()
        except InputError:
            self.release()
            raise
        except OSError as error:
            self.release()
            raise _unwritable(path, error) from error

    def _who(self) -> str:
        with contextlib.suppress(OSError):
            return self._holder.read_text(encoding="utf-8")
        return "(unknown)"

    def _move_aside(self) -> None:
        """An earlier run keeps its files under a name that tells when it was last written to."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        if not self.path.is_dir():
            raise NotADirectoryError(20, "it is a file")
        if not (self.path / CHECKPOINTS).is_dir():
            raise InputError(f"logdir={self.path}: what is in there is no run; name a folder of the run's own")
        stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(self.path.stat().st_mtime))
        base = "run" if self.path.name == "latest_run" else self.path.name
        for attempt in range(1000):
            target = self.path.with_name(f"{base}_{stamp}" + (f"_{attempt}" if attempt else ""))
            if not target.exists():
                self.path.rename(target)
                print(f"[OK] The run that was in {self.path} is now in {target}", flush=True)
                return
        raise FileExistsError(17, "no free name to move the earlier run to")

    def release(self) -> None:
        """Let another run have the folder."""
        with contextlib.suppress(OSError):
            self._holder.unlink()
        self._lock.release()
