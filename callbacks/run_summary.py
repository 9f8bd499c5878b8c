"""The lines a person looks for when a run begins, each true when it is printed."""

import lightning as L  # noqa: N812
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from callbacks.checkpoints import TimestepCheckpoint
from callbacks.curriculum import Curriculum
from callbacks.stages import described
from rlbot.arguments import flat
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO


class RunSummary(L.Callback):
    """Checks and prints what this run is about to do, and writes its configuration to TensorBoard.

    Args:
        username: whose run it is.
        precision: the precision that was asked for; the one really used is printed.
    """

    def __init__(self, username: str = "", precision: str = "") -> None:
        self.username, self.precision = username, precision
        self.config = ""  # the run's configuration as YAML text

    @override
    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for logger in trainer.loggers if self.config else ():
            logger.log_hyperparams(flat(yaml.safe_load(self.config)))

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data: RolloutDataModule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, PPO)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        curriculum = next((c for c in callbacks if isinstance(c, Curriculum)), None)
        checkpoint = next((c for c in callbacks if isinstance(c, TimestepCheckpoint)), None)
        show = trainer.lightning_module.print
        actors = data.open(pl_module)
        each = f" in each of {trainer.world_size} processes" if trainer.world_size > 1 else ""
        show(f"[OK] {actors.kind} with {data.num_arenas} environments created ({actors.num_agents} agents){each}")
        if curriculum is not None and curriculum.stages:
            show("[OK] Curriculum restriction verified")
            for i, stage in enumerate(described(curriculum.stages)):
                show(f"  Stage {i}: {stage}")
            show(f"  Now: stage {curriculum.index} at {data.timesteps} timesteps")
        asked = "" if self.precision in ("", trainer.precision) else f" (asked for {self.precision})"
        if str(trainer.precision).endswith("-mixed"):
            show(f"[OK] Mixed-precision training (AMP) enabled: {trainer.precision} on {pl_module.device.type}{asked}")
        else:
            show(f"[OK] Precision: {trainer.precision}{asked}")
        self._check_forward_pass(trainer, pl_module, data)
        show("[OK] Model forward pass verified")
        show("[OK] Training ready")
        show("")
        show("CONFIGURATION SUMMARY:")
        for name, value in {
            "Username": self.username,
            "Device": self._device(pl_module),
            "Vectorized": True,
            "Optimized": True,
            "Precision": trainer.precision,
            "Checkpoint Interval": f"{checkpoint.interval} timesteps" if checkpoint else "none",
            "Timesteps": f"{data.timesteps} of {data.total_timesteps}",
            "Seed": torch.initial_seed(),
            "Log Folder": trainer.log_dir,
        }.items():
            show(f"{name}: {value}")
        show("")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and self.config:
                logger.experiment.add_text("configuration", f"```yaml\n{self.config}\n```", data.timesteps)

    @staticmethod
    def _check_forward_pass(trainer: L.Trainer, module: PPO, data: RolloutDataModule) -> None:
        """Run the policy once as acting will."""
        zeros = torch.zeros(2, data.observation_size, device=module.device)
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            seen = module.policy.view(zeros).numbers
            outputs, values = module.policy.actor(seen), module.policy.value(seen)
            finite = torch.isfinite(outputs).all() and torch.isfinite(values).all()
        if not finite:
            raise RuntimeError("the policy's first forward pass gives NaN or infinity")

    @staticmethod
    def _device(module: L.LightningModule) -> str:
        return torch.cuda.get_device_name(module.device) if module.device.type == "cuda" else module.device.type
