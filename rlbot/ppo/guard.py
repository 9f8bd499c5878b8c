"""Updates that pass over a loss or a gradient that is not a number, and clip by the norm that was taken to see it."""

from typing import Any

import lightning as L  # noqa: N812
import torch
from torch import Tensor, nn
from typing_extensions import override

from rlbot.errors import BrokenTrainingError
from rlbot.ppo import together

MAX_BAD_STEPS = 5  # updates in a row that may be skipped for NaN


class GuardedUpdates(L.LightningModule):
    """The part of ``PPO`` between gradients and the optimizer; its ``training_step`` sets ``_last_loss``."""

    def __init__(self) -> None:
        super().__init__()
        self._gradient_norms: list[Tensor] = []
        self._bad_steps = self._bad_in_a_row = 0
        self._last_loss = torch.zeros(())
        self._parameters_once: list[nn.Parameter] = []

    def _learned(self) -> list[nn.Parameter]:
        """All parameters; finding them takes longer than their norm."""
        self._parameters_once = self._parameters_once or list(self.parameters())
        return self._parameters_once

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        """What scales the gradients: float16 on a GPU."""
        scaler: torch.amp.GradScaler | None = getattr(self.trainer.precision_plugin, "scaler", None)
        return scaler

    @override
    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Take the scale off the gradients before anyone looks at them.

        Lightning leaves that to a fused optimizer, which does it in its own step: after the callbacks and the clipping.
        """

        def closure() -> Any:
            loss = optimizer_closure()
            if (scaler := self._scaler) is not None:
                scaler.unscale_(self.trainer.optimizers[0])
            return loss

        super().optimizer_step(epoch, batch_idx, optimizer, closure)

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Leave the weights and Adam's averages untouched when the loss or a gradient is not a number.

        The gradients are the mean over all processes; a loss that is none in one process counts in all.
        """
        norm = self._norm = torch.nn.utils.get_total_norm([p.grad for p in self._learned() if p.grad is not None])
        self._gradient_norms.append(norm)
        finite = together.everywhere(torch.isfinite(self._last_loss))
        # Under a GradScaler infinite gradients are part of finding the scale, and it passes over them by itself; where
        # nothing is left to divide the scale by, they are the gradients' own.
        if self._scaler is None or self._scaler.get_scale() <= 1.0:
            finite &= torch.isfinite(norm)
        if finite:
            self._bad_in_a_row = 0
            return
        optimizer.zero_grad(set_to_none=True)  # Adam passes over parameters without a gradient
        self._bad_steps += 1
        self._bad_in_a_row += 1
        if self._bad_in_a_row > MAX_BAD_STEPS:
            raise BrokenTrainingError(
                f"loss or gradients were NaN or infinite in {self._bad_in_a_row} updates in a row: "
                "lower model.learning_rate, or set trainer.precision to 32-true"
            )

    @override
    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm that is known already; Lightning's own way refuses a fused optimizer under autocast."""
        if not gradient_clip_val:
            return
        if gradient_clip_algorithm == "value":
            torch.nn.utils.clip_grad_value_(self._learned(), gradient_clip_val)
        else:
            torch.nn.utils.clip_grads_with_norm_(self._learned(), gradient_clip_val, self._norm)
