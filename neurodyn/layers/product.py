"""The product of two activities, as in attention."""

from torch import Tensor, nn


class MatMul(nn.Module):
    """The product `a @ b` of two activities. A module, and not the operator alone, so that what
    counts synaptic operations can see it.
    """

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        out: Tensor = a @ b
        return out
