"""The device a run uses, by the word a person gives, and the cores it may use."""

import os
import shutil
from typing import Any

import torch

from rlbot.errors import InputError

MOST_WORKERS = 31 if os.name == "nt" else 1024  # Windows waits for 63 things at once at most, two of each worker


def choose_device(device: str) -> tuple[str, Any]:
    """Lightning's accelerator and devices for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: another word, or CUDA that this machine or this torch does not have.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdigit())):
        raise InputError(f"device={device}: must be auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return "cpu", 1
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cure = "install torch with CUDA as https://pytorch.org/get-started/locally shows"
    if kind == "auto" and count == 0:
        if torch.version.cuda is None and shutil.which("nvidia-smi"):
            print(
                f"[OK] Using the CPU: there is an NVIDIA GPU, but this torch has no CUDA; to use it, {cure}", flush=True
            )
        return "cpu", 1
    if count == 0 or int(number or 0) >= count:
        raise InputError(f"device={device}: torch sees {count} CUDA devices; use --device cpu, or {cure}")
    return "cuda", [int(number or 0)]


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_workers() -> int:
    """Worker processes of one process, a core each as far as the system allows."""
    return min(num_cores(), MOST_WORKERS)
