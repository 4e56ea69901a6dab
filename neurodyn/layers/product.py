"""The product of two activities, as in attention."""

from torch import Tensor, nn


class MatMul(nn.Module):
    """The product `a @ b` of two activities. It is a module, so that `ActivityMeter` can count its
    operations.
    """

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        out: Tensor = a @ b
        return out
