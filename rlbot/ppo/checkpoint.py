"""Checkpoint files: written so that a name always means a whole file, read so that nothing in them can run code."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from typing_extensions import override

from rlbot.errors import InputError
from rlbot.files import write_whole
from rlbot.ppo import together


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk and renames."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(target, buffer.getbuffer())

    @override
    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return together.from_first(lambda: load(Path(path)))


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint of this trainer.

    Raises:
        InputError: the file is missing, cut, changed, or not from this trainer.
    """
    if not os.path.isfile(path):  # Path.is_file raises where a network folder is gone
        what = "it is a folder: give a file in its checkpoints" if os.path.isdir(path) else "there is no such file"
        raise InputError(f"ckpt_path={path}: {what}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums
        if damaged is not None:
            raise InputError(f"ckpt_path={path}: the file is damaged (checksum of {damaged})")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a foreign file can provoke anything in zipfile and torch.load
        reason = "cut or no checkpoint" if isinstance(error, zipfile.BadZipFile) else type(error).__name__
        raise InputError(f"ckpt_path={path}: the file cannot be read as a checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "architecture"} <= checkpoint.keys():
        raise InputError(f"ckpt_path={path}: not a checkpoint of this trainer")
    return checkpoint
