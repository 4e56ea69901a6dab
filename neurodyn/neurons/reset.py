"""What a spike does to the membrane: `u = reset(h, s, threshold)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from neurodyn.declared import Declared
from neurodyn.errors import unknown
from neurodyn.learned import Learned


class Reset(Declared):
    """Base of the resets. What a reset learns has the granularity of the neuron that takes it.

    Args:
        detach: cut the gradient that flows from the reset back into the spike (the reset then acts
            as a constant of the backward pass). Off by default, as in the TET recipe.
    """

    def __init__(self, *, detach: bool = False) -> None:
        super().__init__()
        self.detach = detach

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        """The membrane after the spike decision `s` (0 or 1)."""
        raise NotImplementedError(f"{type(self).__name__} does not define its apply_reset")

    def forward(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        return self.apply_reset(h, s.detach() if self.detach else s, threshold)

    def extra_repr(self) -> str:
        return ", ".join(filter(None, (self.shown(), "detach=True" if self.detach else "")))


class HardReset(Reset):
    """`u = h (1 - s) + r s`: back to the reset value `r`.

    Args:
        value: `r`; a tensor gives one per channel or neuron.
        learn: train it.
        detach: as for `Reset`.
    """

    value = Learned(0.0, "reset value")

    def __init__(self, value: Any = 0.0, *, learn: bool = False, detach: bool = False) -> None:
        super().__init__(detach=detach)
        self._learn = learn
        # Zero is left out of the equation, so that the usual neuron pays no multiplication for it.
        self.at_zero = not learn and isinstance(value, int | float) and value == 0
        if not self.at_zero:
            self.alone("value", value)

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        kept = h * (1 - s)
        return kept if self.at_zero else kept + self.value.to(h.dtype) * s

    def shown(self) -> str:
        return "value=0" if self.at_zero else super().shown()


class SoftReset(Reset):
    """`u = h - threshold s`: what lies above the threshold is kept."""

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        return h - threshold * s


class SmoothReset(Reset):
    """`u = h - s (mix h + (1 - mix) threshold)`: between soft (`mix = 0`) and hard (1).

    Args:
        mix: where it starts, in [0, 1], and stays.
        learn: train it.
        detach: as for `Reset`.
    """

    mix = Learned(0.5, "share of the hard reset", low=0.0, high=1.0, link="clamp")

    def __init__(self, mix: Any = 0.5, *, learn: bool = True, detach: bool = False) -> None:
        super().__init__(detach=detach)
        self._learn = learn
        self.alone("mix", mix)

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        mix = self.mix.to(h.dtype)
        return h - s * (mix * h + (1 - mix) * threshold)


class NoReset(Reset):
    """`u = h`: the spike leaves the membrane alone."""

    def apply_reset(self, h: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        return h


RESETS: dict[str, Callable[[bool, bool], Reset]] = {
    "hard": lambda detach, learn: HardReset(detach=detach),
    "learned": lambda detach, learn: HardReset(learn=learn, detach=detach),
    "soft": lambda detach, learn: SoftReset(detach=detach),
    "smooth": lambda detach, learn: SmoothReset(learn=learn, detach=detach),
    "none": lambda detach, learn: NoReset(detach=detach),
}


def make_reset(reset: str | Reset, detach: bool, learn: bool = True) -> Reset:
    """A reset by its name (`"soft"`, `"SoftReset"`), or the given one as it is.

    Args:
        detach: as for `Reset`.
        learn: train what a reset by name learns.
    """
    if isinstance(reset, Reset):
        if detach:
            raise ValueError("detach_reset: give detach=True to the Reset object itself")
        return reset
    if not isinstance(reset, str):
        raise TypeError(f"reset: expected a name or a Reset, got {reset!r}")
    name = reset.lower().removesuffix("reset")
    name = "none" if name == "no" else name
    if name not in RESETS:
        raise unknown("reset", reset, RESETS)
    return RESETS[name](detach, learn)
