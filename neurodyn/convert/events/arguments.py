"""Reading the arguments of `Events`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from neurodyn.convert.events.graph import Flat
from neurodyn.convert.events.kernels import Kernel, LIFKernel


def layer_sizes(weights: Sequence[Tensor]) -> tuple[int, ...]:
    """Input lines, then neurons of each layer."""
    if isinstance(weights, Tensor):
        raise TypeError("weights: expected a list of matrices, one per layer, got a tensor")
    if not weights:
        raise ValueError("weights: expected one matrix per layer, got none")
    shapes = [tuple(np.shape(matrix)) for matrix in weights]
    for k, shape in enumerate(shapes):
        if len(shape) != 2:
            raise ValueError(
                f"weights: layer {k + 1}: expected a matrix (neurons, sources), got {shape}"
            )
    return (shapes[0][1], *(neurons for neurons, _ in shapes))


def matrices(
    name: str, given: Sequence[Tensor] | None, sizes: Sequence[int], low: float | None = None
) -> nn.ParameterList:
    """One matrix of finite numbers per layer, from `low` on, or none at all."""
    given = given or []
    if given and len(given) != len(sizes) - 1:
        raise ValueError(f"{name}: expected one per layer, {len(sizes) - 1}, got {len(given)}")
    found = []
    for k, matrix in enumerate(given):
        sources = sizes[k + 1] if name.startswith("recurrent") else sizes[k]
        matrix = torch.as_tensor(matrix, dtype=torch.float64).detach().clone()
        if tuple(matrix.shape) != (sizes[k + 1], sources):
            raise ValueError(
                f"{name}: layer {k + 1}: expected {(sizes[k + 1], sources)}, "
                f"got {tuple(matrix.shape)}"
            )
        wrong = ~torch.isfinite(matrix) if low is None else ~(matrix >= low) | matrix.isinf()
        if bool(wrong.any()):
            expected = "finite numbers" if low is None else f"finite numbers from {low:g} on"
            raise ValueError(
                f"{name}: layer {k + 1}: expected {expected}, got {float(matrix[wrong][0])}"
            )
        found.append(matrix)
    return nn.ParameterList(found)


def read_thresholds(
    given: float | Sequence[float | Tensor], sizes: Sequence[int]
) -> nn.ParameterList:
    """One vector of thresholds per layer."""
    each = list(given) if isinstance(given, Sequence) else [given] * (len(sizes) - 1)
    if len(each) != len(sizes) - 1:
        raise ValueError(f"thresholds: expected one per layer, {len(sizes) - 1}, got {len(each)}")
    found = []
    for k, (value, size) in enumerate(zip(each, sizes[1:], strict=True)):
        theta = torch.as_tensor(value, dtype=torch.float64).detach()
        if theta.ndim and tuple(theta.shape) != (size,):
            raise ValueError(
                f"thresholds: layer {k + 1}: expected a number or {size} numbers, "
                f"got {tuple(theta.shape)}"
            )
        if not bool((torch.isfinite(theta) & (theta > 0)).all()):
            raise ValueError(f"thresholds: layer {k + 1}: expected numbers > 0, got {value}")
        found.append(theta.expand(size).clone())
    return nn.ParameterList(found)


def read_kernels(given: Kernel | Sequence[Kernel] | None, sizes: Sequence[int]) -> list[Kernel]:
    """One kernel per layer."""
    if given is None or isinstance(given, Kernel):
        found = [LIFKernel() if given is None else given] * (len(sizes) - 1)
    else:
        found = list(given) if isinstance(given, Sequence) else [given]
    for kernel in found:
        if not isinstance(kernel, Kernel):
            raise TypeError(f"kernel: expected kernels, such as LIFKernel(), got {kernel!r}")
    found = found * (len(sizes) - 1) if len(found) == 1 else found
    if len(found) != len(sizes) - 1:
        raise ValueError(f"kernel: expected one for all or {len(sizes) - 1}, got {len(found)}")
    for k, (kernel, size) in enumerate(zip(found, sizes[1:], strict=True)):
        for rate in kernel.rates():
            if rate.ndim and tuple(rate.shape) != (size,):
                raise ValueError(
                    f"kernel: layer {k + 1}: expected one time constant or {size}, one per neuron, "
                    f"got {tuple(rate.shape)}"
                )
    return found


def check_learned(flat: Flat, values: Sequence[Tensor]) -> None:
    """Refuse what training may have made of parameters that were right at first.

    Args:
        flat: the graph.
        values: as `SpikeTimes` takes them.
    """
    theta, _, alpha, beta, gain, weight, delay = (value.detach() for value in values)
    rates = torch.stack([alpha, beta, gain])
    time = 1 / rates.amin(0)
    neuron, target = range(len(theta)), flat.target
    for name, expected, value, right, whose in (
        ("thresholds", "a number > 0", theta, theta > 0, neuron),
        ("kernel", "a time constant > 0", time, ((rates >= 0) & rates.isfinite()).all(0), neuron),
        ("weights", "a finite number", weight, weight.isfinite(), target),
        ("delays", "a time from 0 on", delay, delay >= 0, target),
    ):
        if not bool(right.all()):
            k = int((~right).nonzero()[0])
            raise ValueError(
                f"{name}: {flat.name(whose[k])}: expected {expected}, got {float(value[k])}"
            )
