"""Losses on outputs over time `(T, B, K)`.

Labels are classes `(B,)`, int64, or one weight per class `(B, K)`, as for mixed images.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ReadoutLoss(nn.Module):
    """Cross-entropy of the read-out.

    Args:
        readout: turns `(T, B, K)` into scores `(B, K)`.
        label_smoothing: as in `torch.nn.functional.cross_entropy`.
    """

    def __init__(self, readout: nn.Module, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.readout = readout
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return _cross_entropy(self.readout(outputs), labels, self.label_smoothing)


class TETLoss(nn.Module):
    """Temporal efficient training (Deng et al., ICLR 2022):

        (1 - l) mean_t CE(o[t], y) + l MSE(o, V_th)

    Args:
        weight: `l`; in the paper .05 for CIFAR, .001 for DVS data.
        threshold: `V_th`, the level that outputs are drawn towards.
        label_smoothing: of each cross-entropy.
    """

    def __init__(
        self, *, weight: float = 0.05, threshold: float = 1.0, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            raise ValueError(f"weight: expected a number from 0 to 1, got {weight}")
        self.weight, self.threshold = weight, threshold
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        everywhere = labels.expand(len(outputs), *labels.shape).flatten(0, 1)
        each = _cross_entropy(outputs.flatten(0, 1), everywhere, self.label_smoothing)
        return (1 - self.weight) * each + self.weight * (outputs - self.threshold).square().mean()


def _cross_entropy(scores: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    if labels.is_floating_point():
        labels = labels.to(scores.dtype)
    return F.cross_entropy(scores, labels, label_smoothing=smoothing)
