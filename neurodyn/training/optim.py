"""Optimiser and schedule: the dynamics of the neurons are a parameter group of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from neurodyn.neurons import dynamics_parameters


@dataclass
class OptimConfig:
    """Options of the optimiser and of the schedule.

    Args:
        name: "adamw" or "sgd" (Nesterov).
        lr: peak learning rate of the weights.
        weight_decay: on matrices and kernels only; never on norms, biases or dynamics.
        momentum: of SGD.
        dynamics_lr: learning rate of the neurons' parameters, as a multiple of `lr`.
        warmup: epochs of linear warm-up. After it the rate falls to zero along a cosine.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.01
    momentum: float = 0.9
    dynamics_lr: float = 1.0
    warmup: float = 0.0


def parameter_groups(module: nn.Module, config: OptimConfig) -> list[dict[str, object]]:
    """Weights (with decay), norms and biases (without), dynamics (with their own rate)."""
    dynamics = [p for p in dynamics_parameters(module) if p.requires_grad]
    taken = {id(p) for p in dynamics}
    others = [p for p in module.parameters() if p.requires_grad and id(p) not in taken]
    groups = [
        {
            "name": "weights",
            "params": [p for p in others if p.ndim > 1],
            "lr": config.lr,
            "weight_decay": config.weight_decay,
        },
        {
            "name": "norms and biases",
            "params": [p for p in others if p.ndim <= 1],
            "lr": config.lr,
            "weight_decay": 0.0,
        },
        {
            "name": "dynamics",
            "params": dynamics,
            "lr": config.lr * config.dynamics_lr,
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(module: nn.Module, config: OptimConfig) -> Optimizer:
    """The optimiser over these groups."""
    groups = parameter_groups(module, config)
    if config.name == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    return AdamW(groups, lr=config.lr)


def make_schedule(
    optimizer: Optimizer, config: OptimConfig, steps: float, steps_per_epoch: float
) -> LambdaLR:
    """Linear warm-up, then a cosine to zero, stepped once per batch.

    The rate depends on the step alone. So a training that is resumed for more epochs follows the
    longer schedule from there.

    Raises:
        ValueError: the number of steps is infinite, as Lightning has it for a training without end.
    """
    if math.isinf(steps):
        raise ValueError(
            "trainer.max_epochs: expected it, or max_steps, to be given: the learning rate falls "
            "over the whole training, so its length has to be known"
        )
    warmup = min(round(config.warmup * steps_per_epoch), int(steps) - 1)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
