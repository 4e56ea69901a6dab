"""Which of many things are looked at."""

from __future__ import annotations

import torch
from torch import Tensor


def evenly(count: int, most: int) -> Tensor:
    """The places of all of `count` things, or of `most` of them, evenly spaced."""
    return torch.linspace(0, count - 1, min(most, count)).long()
