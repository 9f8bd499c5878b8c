"""Two processes that find each other through gloo, forked from one that has imported torch and Lightning already."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def number(rank: int, port: int) -> None:
    """Tell this process which one of two it is, as Lightning's launcher does."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ.update(place)


def _run(function: Callable[..., Any], rank: int, port: int, folder: Path, arguments: tuple[Any, ...]) -> None:
    number(rank, port)
    torch.set_num_threads(1)
    torch.save(function(*arguments), folder / f"{rank}.pt")


def in_two_processes(folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a module's function returns in each: tensors and plain values."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs forks")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rlbot.cli", "running"])
    port = free_port()
    processes = [context.Process(target=_run, args=(function, rank, port, folder, arguments)) for rank in (0, 1)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(300)  # only ends a hang: how long it takes is not tested
        assert [process.exitcode for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]
