"""What a spike does to the membrane: `u = reset(h, s, threshold)`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.neurons.ranged import Range, Ranged


class Reset(nn.Module):
    """Base of the resets.

    Args:
        detach: cut the gradient that flows from the reset back into the spike (the reset then acts
            as a constant of the backward pass). Off by default, as in the TET recipe.
    """

    def __init__(self, *, detach: bool = False) -> None:
        super().__init__()
        self.detach = detach

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        """The membrane after the spike decision `s` (0 or 1)."""
        raise NotImplementedError

    def forward(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        return self.apply_reset(h, s.detach() if self.detach else s, threshold)

    def extra_repr(self) -> str:
        return "detach=True" if self.detach else ""


class HardReset(Reset):
    """`u = h (1 - s) + r s`: back to the reset value `r` (0 unless given), which may be learned."""

    def __init__(self, value: float = 0.0, *, learn: bool = False, detach: bool = False) -> None:
        super().__init__(detach=detach)
        # Zero is left out of the equation so that the usual neuron pays no multiplication for it.
        at_zero = value == 0.0 and not learn
        tensor = torch.tensor(float(value))
        self.value = None if at_zero else nn.Parameter(tensor) if learn else nn.Buffer(tensor)

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        kept = h * (1 - s)
        return kept if self.value is None else kept + self.value.to(h.dtype) * s


class SoftReset(Reset):
    """`u = h - threshold s`: what lies above the threshold is kept."""

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        return h - threshold * s


class SmoothReset(Reset):
    """`u = h - s (mix h + (1 - mix) threshold)`: between soft (`mix = 0`) and hard (1), learned.

    Args:
        mix: where it starts, in [0, 1], or the range that it is kept in.
    """

    def __init__(self, mix: Range = 0.5, *, learn: bool = True, detach: bool = False) -> None:
        super().__init__(detach=detach)
        self.mix = Ranged("mix", mix, torch.Size(), limits=(0, 1), learn=learn)

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        mix = self.mix.now.to(h.dtype)
        return h - s * (mix * h + (1 - mix) * threshold)


class NoReset(Reset):
    """`u = h`: the spike leaves the membrane alone."""

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        return h


RESETS: dict[str, type[Reset]] = {
    "hard": HardReset,
    "soft": SoftReset,
    "smooth": SmoothReset,
    "none": NoReset,
}


def make_reset(reset: str | Reset, detach: bool) -> Reset:
    """A reset by its name, or the given one as it is."""
    if isinstance(reset, Reset):
        if detach:
            raise ValueError("detach_reset: give detach=True to the Reset object itself")
        return reset
    if reset not in RESETS:
        raise unknown("reset", reset, RESETS)
    return RESETS[reset](detach=detach)


def refuse_reset(name: str, options: dict[str, Any]) -> None:
    """The options of a neuron whose equation has its own reset may not ask for another."""
    for option, default in (("reset", "hard"), ("detach_reset", False)):
        if options.get(option, default) != default:
            raise ValueError(f"{option}: {name} has its own reset, got {options[option]!r}")
