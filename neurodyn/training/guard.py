"""Stop training at the first NaN or infinity, and name the layer that it came from."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class NonFiniteError(ArithmeticError):
    """A loss or gradient that is NaN or infinite."""


class Guard(L.Callback):
    """Log the gradient norm; stop training at the first non-finite loss or gradient.

    Args:
        every: steps between checks. On a GPU each check waits for the device.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every: expected at least one step, got {every}")
        self.every = every
        self._batch: Any = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._batch = batch

    def on_before_backward(
        self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor
    ) -> None:
        if trainer.global_step % self.every == 0 and not torch.isfinite(loss).item():
            culprit = first_broken_layer(pl_module, self._batch)
            raise NonFiniteError(
                f"{_when(trainer)}: the loss is {loss.item()}. {culprit} {_advice(trainer)}"
            )

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        if trainer.global_step % self.every:
            return
        grads = {n: p.grad for n, p in pl_module.named_parameters() if p.grad is not None}
        norm = nn.utils.get_total_norm(grads.values())
        # With 16-bit gradient scaling an overflow is normal: the scaler skips that step.
        if not torch.isfinite(norm) and trainer.precision != "16-mixed":
            raise NonFiniteError(f"{_when(trainer)}: {_culprit(grads)}. {_advice(trainer)}")
        pl_module.log("grad_norm", norm)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._batch = None


@torch.no_grad()
def first_broken_layer(module: L.LightningModule, batch: Any) -> str:
    """Run the batch again, and name the first layer whose output has a NaN or an infinity."""
    if not torch.isfinite(batch[0]).all():
        return "The input batch itself is not finite: check the data."
    broken: list[str] = []

    def hook(name: str, layer: nn.Module) -> Any:
        def check(_: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                broken.append(f"{name!r} ({type(layer).__name__})")

        return check

    neurons = [(n, m) for n, m in module.named_modules() if hasattr(m, "step") and n]
    inside = {part for _, neuron in neurons for part in neuron.modules()}
    leaves = [
        (n, m)
        for n, m in module.named_modules()
        if n and m not in inside and not any(True for _ in m.children())
    ]
    handles = [m.register_forward_hook(hook(n, m)) for n, m in leaves + neurons]
    try:
        module(batch[0])
    finally:
        for handle in handles:
            handle.remove()
    if broken:
        return f"The first layer whose output is not finite: {broken[0]}."
    return "All layers' outputs are finite: the loss itself overflowed."


def _culprit(grads: dict[str, Tensor]) -> str:
    """Which gradient made the norm infinite. Finite ones do, if their squares overflow."""
    for name, grad in grads.items():
        if not torch.isfinite(grad).all():
            return f"the gradient of {name!r} is not finite"
    largest = {name: grad.abs().max().item() for name, grad in grads.items() if grad.numel()}
    name = max(largest, key=lambda name: largest[name])
    return f"the gradient of {name!r} is as large as {largest[name]:.1e}"


def _when(trainer: L.Trainer) -> str:
    return f"Training stopped in epoch {trainer.current_epoch}, step {trainer.global_step}"


def _advice(trainer: L.Trainer) -> str:
    rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
    return (
        f"Usual causes: a learning rate that is too high (now {rate:.3g}), "
        "or polynomial dynamics without a clip."
    )
