"""Samples, targets and lengths, checked against what a data set says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.data.targets import Targets


def check_samples(
    samples: Any, shape: tuple[int, ...], dtypes: Sequence[torch.dtype], name: str
) -> Tensor:
    """Samples `(N, *shape)` of one of the types; `name` is for the error."""
    kinds = " or ".join(map(str, dtypes))
    if isinstance(samples, np.ndarray):
        samples = torch.from_numpy(samples)
    if not isinstance(samples, Tensor):
        raise ValueError(f"{name}: found samples in a {type(samples).__name__}; expected {kinds}")
    if samples.shape[1:] != shape or samples.dtype not in dtypes:
        raise ValueError(
            f"{name}: found samples of shape {tuple(samples.shape[1:])}, {samples.dtype}; "
            f"expected {shape}, {kinds}"
        )
    return samples


def check_targets(
    samples: Tensor,
    labels: Any,
    lengths: Any | None,
    targets: Targets,
    steps: int | None,
    name: str,
) -> tuple[Tensor, None, Tensor | None]:
    """Targets and lengths of samples, as `Samples` takes them behind its values.

    Padding has no target, whatever stands there.
    """
    labels = targets.checked(labels, name, steps)
    if len(samples) != len(labels):
        raise ValueError(f"{name}: found {len(samples)} samples and {len(labels)} labels")
    if lengths is None:
        return labels, None, None
    lengths = check_lengths(lengths, len(samples), steps, name)
    if targets.per_step:
        padding = torch.arange(labels.shape[1]) >= lengths[:, None]
        labels = labels.clone()
        labels[padding] = targets.nothing
    return labels, None, lengths


def check_lengths(lengths: Any, samples: int, steps: int | None, name: str) -> Tensor:
    """Numbers of steps `(N,)`, int64."""
    if steps is None:
        raise ValueError(f"{name}: found lengths of samples that have no time, expected none")
    found = torch.as_tensor(lengths)
    wanted = f"expected whole numbers from 1 to {steps}, one for each of {samples} samples"
    if found.shape != (samples,) or found.is_floating_point():
        raise ValueError(
            f"{name}: found lengths of shape {tuple(found.shape)}, {found.dtype}; {wanted}"
        )
    if not 1 <= found.min() <= found.max() <= steps:
        raise ValueError(f"{name}: found lengths from {found.min()} to {found.max()}, {wanted}")
    return found.long()
