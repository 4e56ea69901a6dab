"""A neuron into which more than its input goes (an affine map in front, or a drive), or out of
which more than its spikes comes (the charged membrane)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.declared import shallow
from neurodyn.neurons.layer import Dynamics

Affine = tuple[Tensor, Tensor]


class Driven(nn.Module):
    """What `scan` runs for a neuron with an affine map in front, a second input, a second output.

    Args:
        neuron: the neuron.
        affine: scale and shift of its input, broadcastable to a step.
        driven: the second input of the step is a drive.
        charged: the second output is the charged membrane, if the step has one.
    """

    neuron: Dynamics
    scale: Tensor
    shift: Tensor
    made_by: tuple[nn.Module, str, tuple[bool, ...]]
    """See `neurodyn.scan.loop.Cell`."""

    def __init__(
        self, neuron: Dynamics, affine: Affine | None, *, driven: bool, charged: bool = False
    ) -> None:
        super().__init__()
        self.neuron, self.driven, self.mapped = neuron, driven, affine is not None
        self.charged = charged
        if affine is not None:
            self.register_buffer("scale", affine[0])
            self.register_buffer("shift", affine[1])

    def step(self, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """One timestep: `(x[, drive], *states) -> (spikes[, h], *new_states)`."""
        if self.mapped:
            x = self.scale * x + self.shift
        neuron: Any = self.neuron
        seen: list[Tensor] = []
        if self.charged:
            neuron = shallow(neuron)
            neuron.seen = seen
        spikes, *states = neuron.driven_step(x, *rest) if self.driven else neuron.step(x, *rest)
        return (spikes, *seen[:1], *states)

    @property
    def nonlinear(self) -> str | None:
        """As the neuron says."""
        return self.neuron.nonlinear

    def over_time(self, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]) -> Any:
        """All steps at once, as the neuron runs them."""
        x, *drive = inputs
        x = self.scale * x + self.shift if self.mapped else x
        return self.neuron.over_time((x, *drive), state)


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


def check_drive(drive: Any, x: Tensor) -> None:
    """An error unless the drive has the shape of `x`."""
    if not isinstance(drive, Tensor) or drive.shape != x.shape:
        got = tuple(drive.shape) if isinstance(drive, Tensor) else type(drive).__name__
        raise ValueError(f"drive: expected the shape of x, {tuple(x.shape)}, got {got}")
