"""Reading the arguments of `Events`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def layer_sizes(weights: Sequence[Tensor]) -> tuple[int, ...]:
    """Input lines, then neurons of each layer."""
    if not weights:
        raise ValueError("weights: expected one matrix per layer, got none")
    for k, matrix in enumerate(weights):
        if matrix.ndim != 2:
            raise ValueError(
                f"weights: layer {k + 1}: expected a matrix (neurons, sources), "
                f"got {tuple(matrix.shape)}"
            )
    return (weights[0].shape[1], *(matrix.shape[0] for matrix in weights))


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
