"""What `scan` runs where more than its input goes into a neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from neurodyn.neurons.base import Neuron

Affine = tuple[Tensor, Tensor]


class Driven(nn.Module):
    """A neuron with an affine map in front, or a second input, or both.

    Args:
        neuron: the neuron.
        affine: scale and shift of its input, broadcastable to a step.
        driven: the second input of the step is a drive.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, neuron: Neuron, affine: Affine | None, *, driven: bool) -> None:
        super().__init__()
        self.neuron, self.driven, self.mapped = neuron, driven, affine is not None
        if affine is not None:
            self.register_buffer("scale", affine[0])
            self.register_buffer("shift", affine[1])

    def step(self, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        if self.mapped:
            x = self.scale * x + self.shift
        return self.neuron.driven_step(x, *rest) if self.driven else self.neuron.step(x, *rest)


def check_affine(affine: Affine, x: Tensor) -> None:
    """An error unless scale and shift broadcast to a step of `x`."""
    for name, value in zip(("scale", "shift"), affine, strict=True):
        try:
            fits = torch.broadcast_shapes(value.shape, x.shape[1:]) == x.shape[1:]
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(
                f"affine: expected a {name} that broadcasts to {tuple(x.shape[1:])}, one step of "
                f"x, got {tuple(value.shape)}"
            )
