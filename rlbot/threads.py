"""Threads of torch and NumPy: a small network on few rows is slower on several, and they would spin beside physics."""

import contextlib
import functools
from collections.abc import Iterator

import torch
from threadpoolctl import ThreadpoolController


@functools.cache
def _of_numpy() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")  # looking for them takes milliseconds


def use_one_thread() -> None:
    """In this process, from now on."""
    torch.set_num_threads(1)
    _of_numpy().limit(limits=1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As long as this lasts. The same numbers come out with any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _of_numpy().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)
