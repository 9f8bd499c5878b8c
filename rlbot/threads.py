"""Threads of torch and NumPy: what acting computes is fastest on one, and many processes share the cores."""

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits


def use_one_thread() -> None:
    """In this process, from now on."""
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As long as this lasts. The same numbers come out with any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)
