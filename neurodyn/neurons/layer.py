"""What everything that runs over time has in common: state goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from neurodyn.errors import not_over_time, unknown


class Stateful(nn.Module):
    """A module that runs over time, and can stop and go on:

        y = module(x)                                       from the initial state
        y, state = module(x, return_state=True)
        y, state = module(x, state, return_state=True)      goes on where that one ended

    `x` is `(T, B, ...)`. Nothing is kept between calls; a sequence in chunks, the state handed on,
    gives what one call gives. States are tuples of tensors, of tuples, or None.
    """

    dynamics: ClassVar[tuple[str, ...]] = ()
    """Names of parameters that are trained as a neuron's are: without weight decay."""

    def forward(self, x: Tensor, state: Any = None, *, return_state: bool = False) -> Any:
        """The outputs over time; with `return_state` also the state after them."""
        raise NotImplementedError(f"{type(self).__name__} does not define its forward")


class SpikingLayer(Stateful):
    """A stateful module that puts out spikes, of the same shape as its input: a neuron, or
    something around one. It is made from the shape of one step without its batch."""

    threshold: Tensor
    """Firing threshold; normalisation in front of the layer starts at its scale."""

    files: ClassVar[dict[str, Callable[[str], dict[str, Any]]]] = {}
    """Options that name a file, with what reads it. The settings of a run keep what was read, and
    the option takes that too."""


NeuronFactory = Callable[[tuple[int, ...]], SpikingLayer]
"""Makes the neuron of a layer from the shape of its step without batch, `(C, H, W)` or `(C,)`.
Every neuron class is one; options go through `functools.partial(LNM, degree=5)`."""


class Dynamics(Protocol):
    """A neuron, for what runs its equation one step at a time."""

    threshold: Any

    def initial_state(self) -> tuple[Tensor, ...]:
        """The states that a sequence starts from."""

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Spikes and new states."""

    def driven_step(self, x: Tensor, drive: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The same with a second input to the charged membrane."""

    def charge(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """New states if no spike were fired."""

    @property
    def nonlinear(self) -> str | None:
        """What keeps all steps from running at once."""

    def over_time(
        self, inputs: tuple[Tensor, ...], state: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """All steps at once."""


def check_input(x: Any, features: tuple[int, ...] | None, per: str) -> None:
    """An error unless `x` is a sequence `(T, B, ...)`: of as many dimensions as the features say
    where they are given, and of their sizes where parameters differ within the layer."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        shape = isinstance(x, tuple) and all(isinstance(size, int) for size in x)
        advice = "; a network takes what makes neurons: LNM or partial(LNM, ...), not LNM()"
        raise TypeError(f"x: expected a floating-point tensor, got {got}{advice if shape else ''}")
    if x.ndim < 2:
        raise not_over_time(features or ("...",), x.shape)
    if x.shape[0] == 0:
        raise ValueError(f"x: expected at least one timestep, got T=0 in {tuple(x.shape)}")
    if features is None:
        return
    if x.ndim != 2 + len(features):
        raise not_over_time(features, x.shape)
    sizes = zip(features, x.shape[2:], strict=True)
    # Not `want not in (-1, got)`: a compiler's symbolic size is in no tuple.
    if per != "layer" and any(want != -1 and want != got for want, got in sizes):
        raise not_over_time(features, x.shape, f" for per={per!r} parameters")


def granularity(per: str, features: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of the parameters of a layer with one value per channel or per neuron."""
    if per not in ("channel", "neuron"):
        raise unknown("per", per, ("layer", "channel", "neuron"))
    needed = features if per == "neuron" else (features or ())[:1]
    if not needed or min(needed) < 1:
        raise ValueError(
            f"features: per={per!r} needs the shape of one step without its batch, such as "
            f"features=(64, 8, 8) for feature maps, got {features}"
        )
    return tuple(needed) if per == "neuron" else (needed[0], *(1 for _ in (features or ())[1:]))


def check_state(
    state: Any, names: Sequence[str], step: Tensor, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """A state that was handed in, in `dtype`; an error unless it is one tensor per name, each of
    the shape and on the device of `step`."""
    if not isinstance(state, tuple) or len(state) != len(names):
        got = f"{len(state)} entries" if isinstance(state, tuple) else type(state).__name__
        raise ValueError(f"state: expected a tuple of ({', '.join(names)}), got {got}")
    for name, value in zip(names, state, strict=True):
        if not isinstance(value, Tensor):
            raise TypeError(f"state: {name} expected a tensor, got {type(value).__name__}")
        if value.shape != step.shape:
            raise ValueError(
                f"state: {name} expected shape {tuple(step.shape)}, got {tuple(value.shape)}"
            )
        if value.device != step.device:
            raise ValueError(f"state: {name} expected on {step.device}, got {value.device}")
    return tuple([value.to(dtype) for value in state])
