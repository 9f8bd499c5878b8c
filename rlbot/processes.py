"""Several processes that train together: where each runs, who started it, and how all of them end."""

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from torch.distributed.rendezvous import rendezvous

from rlbot.__main__ import ROOT
from rlbot.device import choose_device
from rlbot.errors import InputError, TryAgainError
from rlbot.ppo import together

STARTER = "RLBOT_STARTED_BY"  # process id of the one whose Trainer started this one
LOOK_SECONDS = 1.0
TIMEOUT = timedelta(minutes=30)  # Lightning's: how long one process may keep the others waiting


class Placement(NamedTuple):
    """What the Trainer is told about hardware."""

    accelerator: str
    devices: Any
    num_nodes: int
    strategy: Any


def place(device: str, devices: Any, num_nodes: int, strategy: Any) -> Placement:
    """One process for each device; under torchrun the processes are those that it started.

    Args:
        device: auto, cpu, cuda or cuda:N.
        devices: trainer.devices: auto is one device here, and what torchrun says under torchrun.
        num_nodes: trainer.num_nodes: machines.
        strategy: trainer.strategy: how several processes keep their weights equal.

    Raises:
        InputError: they contradict each other.
    """
    accelerator, one = choose_device(device)
    world = int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 0
    if world and devices == "auto":
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        num_nodes = max(num_nodes, world // devices)
    count = 1 if devices == "auto" else _count(devices)
    if world and count * num_nodes != world:
        raise InputError(
            f"trainer.devices={devices}, trainer.num_nodes={num_nodes}: torchrun started {world} processes; "
            "leave both settings out"
        )
    alone = devices in ("auto", 1, "1")
    if ":" in device and not alone:
        raise InputError(f"device={device}: names one device, but trainer.devices={devices}")
    if isinstance(strategy, str):
        if strategy not in ("auto", "ddp"):
            raise InputError(f"trainer.strategy={strategy}: must be auto or ddp")
        # Buffers are equal already: ReturnScale takes in what all processes saw.
        several = strategy == "ddp" or count * num_nodes > 1
        backend = None if dist.is_nccl_available() else "gloo"  # Windows has no NCCL
        strategy = DDPStrategy(broadcast_buffers=False, process_group_backend=backend) if several else "auto"
    return Placement(accelerator, one if alone else devices, num_nodes, strategy)


def _count(devices: Any) -> int:
    """How many devices Lightning takes for this setting."""
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    try:
        number = int(devices)
    except ValueError:
        raise InputError(f"trainer.devices={devices}: must be auto, a number or a list of numbers") from None
    return torch.cuda.device_count() if number == -1 else number


def is_started() -> bool:
    """Whether another process's Trainer started this one, and nobody else sees its exit code."""
    return STARTER in os.environ and "LOCAL_RANK" in os.environ


def join() -> None:
    """What a process does first: only the first prints, and none outlives the one that started it."""
    if not together.leads():
        sys.stdout = open(os.devnull, "w", encoding="ascii", errors="replace")  # noqa: SIM115 - until the end
    if is_started():
        follow(int(os.environ[STARTER]))
    elif dist.is_torchelastic_launched():
        follow(os.getppid())


def follow(process: int) -> None:
    """End this process soon after the other one, whatever it is waiting for."""

    def watch() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            other = psutil.Process(process)
            while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
                time.sleep(LOOK_SECONDS)
        os._exit(1)  # an exception would not reach a thread that waits for a process that is gone

    threading.Thread(target=watch, name="follow", daemon=True).start()


@contextlib.contextmanager
def start_others(arguments: Sequence[str]) -> Iterator[None]:
    """While the Trainer fits: what it starts the other processes with, and what the loss of one of them means.

    Raises:
        TryAgainError: the connection to another process broke.
    """
    sys.argv = [str(ROOT / "scripts" / "train.py"), *arguments]
    before = os.environ.get(STARTER)
    os.environ[STARTER] = before or str(os.getpid())
    try:
        yield
    except RuntimeError as error:
        if together.num_processes() > 1 and re.search(r"gloo|NCCL|[Cc]onnection", str(error)):
            raise TryAgainError(
                "another process of this run is gone: look for its error above, then resume with --ckpt_path last"
            ) from error
        raise
    finally:
        if before is None:
            del os.environ[STARTER]


def meet(accelerator: str) -> None:
    """Join the processes that torchrun started, each start under a name of its own.

    Lightning would join them, but after a restart it would read what the failed start left in torchrun's store, which
    outlives it (pytorch#135712).
    """
    if dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1 and not dist.is_initialized():
        if accelerator == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        store, rank, size = next(rendezvous("env://"))
        store = dist.PrefixStore(f"rlbot/{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)  # type: ignore[attr-defined]
        backend = "nccl" if accelerator == "cuda" and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)


def restarted_after(save: Path) -> bool:
    """Whether torchrun started this run again after it had written ``save``: the file is younger than torchrun is.

    The first process looks and tells the others, which need not see its files.
    """
    if not dist.is_torchelastic_launched():
        return False
    torchrun = psutil.Process(os.getppid())
    return together.from_first(lambda: save.is_file() and save.stat().st_mtime > torchrun.create_time())
