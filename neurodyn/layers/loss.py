"""TET: a loss on the outputs at every step."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from neurodyn.layers.time import valid_steps


class TETLoss(nn.Module):
    """Temporal efficient training (Deng et al., ICLR 2022), on outputs over time `(T, B, K)`:

        (1 - l) mean_t CE(o[t], y) + l MSE(o, V_th)

    Labels are classes `(B,)`, int64, or one weight per class `(B, K)`, as for mixed images.

    Args:
        weight: `l`; in the paper .05 for CIFAR, .001 for DVS data.
        threshold: `V_th`, the level that outputs are drawn towards.
        label_smoothing: of each cross-entropy.
        class_weights: of each cross-entropy, `(K,)`.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        weight: float = 0.05,
        threshold: float = 1.0,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            raise ValueError(f"weight: expected a number from 0 to 1, got {weight}")
        self.weight, self.threshold = weight, threshold
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        everywhere, valid = labels.expand(len(outputs), *labels.shape), valid_steps()
        if valid is None:
            outputs, everywhere = outputs.flatten(0, 1), everywhere.flatten(0, 1)
        else:
            outputs, everywhere = outputs[valid], everywhere[valid]
        if labels.is_floating_point():
            everywhere = everywhere.to(outputs.dtype)
        each = F.cross_entropy(
            outputs, everywhere, self.class_weights, label_smoothing=self.label_smoothing
        )
        return (1 - self.weight) * each + self.weight * (outputs - self.threshold).square().mean()
