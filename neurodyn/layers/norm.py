"""tdBN: threshold-dependent batch normalisation (Zheng et al., AAAI 2021)."""

from __future__ import annotations

from torch import nn

RESIDUAL = 2**-0.5
"""`alpha` for branches that are summed: the sum of two then has the variance of one."""


class TDBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose output starts as `N(0, (alpha V_th)^2)`.

    Inside `TimeDistributed`, each channel's statistics are over (T, B, H, W), as in the paper. The
    factor `alpha V_th` is the initial value of the affine weight.

    Args:
        channels: number of channels.
        threshold: `V_th` of the neurons that follow.
        alpha: 1, or `RESIDUAL` for a branch that is summed with another.
    """

    def __init__(self, channels: int, *, threshold: float = 1.0, alpha: float = 1.0) -> None:
        super().__init__(channels)
        nn.init.constant_(self.weight, alpha * threshold)


class TDBatchNorm1d(nn.BatchNorm1d):
    """As `TDBatchNorm2d`, for `(B, channels)`; `momentum` is that of the running statistics."""

    def __init__(
        self,
        channels: int,
        *,
        threshold: float = 1.0,
        alpha: float = 1.0,
        momentum: float = 0.1,
    ) -> None:
        super().__init__(channels, momentum=momentum)
        nn.init.constant_(self.weight, alpha * threshold)
