"""How fast the run is, where the time goes, and what it takes of the machine."""

import contextlib
import time

import lightning as L  # noqa: N812
import psutil
import torch
from typing_extensions import override

from rlbot.ppo.module import PPO

MEGABYTE = 2**20


class Throughput(L.Callback):
    """Timesteps a second (collect, learn, overall), shares of the time, GPU and memory, every iteration.

    Args:
        print_seconds: at most one line on the console in this time; the first iteration always has one.
    """

    def __init__(self, print_seconds: float = 30.0) -> None:
        if not print_seconds >= 0:
            raise ValueError(f"throughput.print_seconds={print_seconds} must not be below 0")
        self.print_seconds = print_seconds
        self._process = psutil.Process()
        self._begun = self._printed_at = 0.0

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begun = 0.0
        self._printed_at = -self.print_seconds

    @override
    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begun = self._begun or time.perf_counter()  # the arenas are there

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = time.perf_counter()
        iteration = trainer.datamodule.iteration  # type: ignore[attr-defined]
        overall_seconds, collect_seconds = now - self._begun, iteration.collect_seconds
        self._begun = now
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        pause_seconds = sum(getattr(callback, "seconds_taken", 0.0) for callback in callbacks)  # of an evaluation
        learn_seconds = max(overall_seconds - collect_seconds - pause_seconds, 1e-9)
        speeds = {
            "speed/collect": iteration.timesteps / iteration.seconds["collect"],
            "speed/learn": iteration.timesteps / learn_seconds,
            "speed/collect_share": collect_seconds / overall_seconds,
            "speed/learn_share": learn_seconds / overall_seconds,
            "speed/process_memory_mb": self._process.memory_info().rss / MEGABYTE,
        }
        overall = iteration.timesteps / overall_seconds
        gpu = self._gpu(pl_module.device)
        assert isinstance(pl_module, PPO)
        pl_module.record({"speed/timesteps_per_second": overall} | speeds | gpu)
        if now - self._printed_at >= self.print_seconds:
            self._printed_at = now
            trainer.lightning_module.print(
                f"[OK] Training speed: {overall:.1f} timesteps/sec (collect {speeds['speed/collect']:.0f}, "
                f"learn {speeds['speed/learn']:.0f}) at {trainer.datamodule.timesteps} timesteps"  # type: ignore[attr-defined]
            )
            if gpu:
                total = torch.cuda.get_device_properties(pl_module.device).total_memory / MEGABYTE
                used = f"Memory: {gpu['speed/gpu_memory_reserved_mb']:.0f}/{total:.0f} MB"
                share = gpu.get("speed/gpu_utilization")
                trainer.lightning_module.print(
                    f"[OK] GPU utilization: {share:.1f}%, {used}" if share is not None else f"[OK] GPU {used}"
                )

    @staticmethod
    def _gpu(device: torch.device) -> dict[str, float]:
        """GPU memory, and utilisation where nvidia-ml-py is installed; empty on a CPU."""
        if device.type != "cuda":
            return {}
        found = {
            "speed/gpu_memory_allocated_mb": torch.cuda.memory_allocated(device) / MEGABYTE,
            "speed/gpu_memory_reserved_mb": torch.cuda.memory_reserved(device) / MEGABYTE,
        }
        with contextlib.suppress(Exception):  # of torch and of NVML, which not every GPU and container can ask
            found["speed/gpu_utilization"] = float(torch.cuda.utilization(device))
        return found
