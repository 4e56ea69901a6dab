"""Batch normalisation in the kernel of the neuron behind it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.layers.norm import TDBatchNorm2d
from neurodyn.layers.time import TimeDistributed, valid_steps
from neurodyn.neurons import Neuron, SpikingLayer
from neurodyn.scan import scan
from neurodyn.step.torch_private import functorch_active

FOLDED = (nn.BatchNorm2d, TDBatchNorm2d)
SMALLEST = 1 << 20
"""From this many elements on, one kernel takes less time than norm and neuron apart."""
CANCELLED = 100.0
"""Mean squares above this multiple of the variance make `E[x^2] - E[x]^2` too coarse."""


class Normed(nn.Module):
    """`neuron(norm(x))` for `x` of shape `(T, B, C, H, W)`, in one kernel where possible.

    Batch normalisation is a map `a x + b` per channel, and the neuron's kernel applies it as it
    reads `x`. The normalised sequence, half the memory that a layer keeps for the backward pass, is
    neither written nor kept.

    One kernel runs on the CPU, in float32 and float64, for sequences of `SMALLEST` elements and
    more. Otherwise norm and neuron run one after the other: on other devices, under
    `torch.compile`, for padded sequences, for channels-last maps, which PyTorch normalises in less
    time, for a layer around a neuron, such as `Delayed`, and behind linear layers, where nothing is
    gained.

    Args:
        norm: a batch normalisation, whose statistics are over time, batch and space.
        neuron: the spiking layer behind it.
    """

    def __init__(self, norm: nn.Module, neuron: SpikingLayer) -> None:
        super().__init__()
        self.norm, self.neuron = TimeDistributed(norm), neuron

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm[0]
        if not isinstance(norm, nn.BatchNorm2d) or not self._folds(norm, x):
            apart: Tensor = self.neuron(self.norm(x))
            return apart
        T = x.shape[0]
        # One frame shown at all steps has the statistics of the frame.
        once = x[:1] if x.stride(0) == 0 else x
        if norm.training or norm.running_mean is None or norm.running_var is None:
            once, mean, var = _Statistics.apply(once)  # type: ignore[no-untyped-call]
            _track(norm, mean, var, once.numel() // once.shape[2])
        else:
            mean, var = norm.running_mean, norm.running_var
        scale = torch.rsqrt(var + norm.eps)
        if norm.affine:
            scale = scale * norm.weight
        shift = -mean * scale
        if norm.affine:
            shift = shift + norm.bias
        affine = scale.view(-1, 1, 1), shift.view(-1, 1, 1)
        spikes: Tensor = self.neuron(once.expand(T, *x.shape[1:]), affine=affine)
        return spikes

    def _folds(self, norm: nn.BatchNorm2d, x: Tensor) -> bool:
        return (
            # First, as what is read of a captured shape becomes a condition on it.
            not torch.compiler.is_compiling()
            and valid_steps() is None
            and type(norm) in FOLDED
            and isinstance(self.neuron, Neuron)
            and self.neuron.backend in ("auto", "cpu")
            and x.device.type == "cpu"
            and x.dtype in (torch.float32, torch.float64)
            and x.ndim == 5
            and x.numel() >= SMALLEST
            and x[0].is_contiguous()
            # With one value per channel there is no variance: PyTorch's norm raises its error.
            and x.shape[1:].numel() > x.shape[2]
            and not functorch_active()
        )


class _Statistics(torch.autograd.Function):
    """`x -> x, mean, variance` per channel. `x` is handed through, so that one pass of `backward`
    adds up its own gradient and those of its statistics."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, var = statistics(x)
        ctx.save_for_backward(x, mean)
        return x.view_as(x), mean, var

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor, grad_var: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        count = x.numel() // x.shape[2]
        slope = 2 / count * grad_var
        level = grad_mean / count - slope * mean
        combined = _Sum(slope.view(-1, 1, 1), level.view(-1, 1, 1))
        (out,), _, _ = scan(combined, (grad, x), (), final=False)
        return out


class _Sum(nn.Module):
    """`grad + slope x + level`, as a step without a state."""

    def __init__(self, slope: Tensor, level: Tensor) -> None:
        super().__init__()
        self.slope, self.level = nn.Buffer(slope), nn.Buffer(level)

    def step(self, grad: Tensor, x: Tensor) -> tuple[Tensor]:
        return (grad + self.slope * x + self.level,)


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of `(T, B, C, H, W)`.

    The variance is `E[x^2] - E[x]^2`, at the speed of memory; sums of rows are added in float64.
    Where that difference would cancel, the slower `torch.var_mean` takes over.
    """
    rows = x.flatten(3)
    sums, squares = rows.sum(3), torch.linalg.vector_norm(rows, dim=3).square()
    count = x.numel() // x.shape[2]
    mean = sums.double().sum((0, 1)) / count
    square = squares.double().sum((0, 1)) / count
    var = square - mean.square()
    if bool((square > CANCELLED * var).any()):
        var, mean = torch.var_mean(x, (0, 1, 3, 4), correction=0)
    return mean.to(x.dtype), var.to(x.dtype)


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor, count: int) -> None:
    """Update the running statistics as PyTorch's batch normalisation does."""
    if not norm.training or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    rate = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, rate)
    norm.running_var.lerp_(var * (count / (count - 1)), rate)
