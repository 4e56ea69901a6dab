"""The neuron: an equation (`step`), its parameters, a spike, a reset; run over time by `scan`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.neurons.driven import Affine, Driven, check_affine
from neurodyn.neurons.layer import SpikingLayer, Stateful, check_state
from neurodyn.neurons.reset import Reset, make_reset
from neurodyn.neurons.window import membrane_variance
from neurodyn.scan import kernel_source, scan
from neurodyn.surrogate import Surrogate, Triangle

Per = Literal["layer", "channel", "neuron"]
Features = int | tuple[int, ...] | None
State = tuple[Tensor, ...]
Module = TypeVar("Module", bound=nn.Module)


class Neuron(SpikingLayer):
    """Base of all neurons. A subclass is its equation:

        class Mine(Neuron):
            states = ("u",)

            def __init__(self, features=None, **options):
                super().__init__(features, **options)
                self.a = self.parameter(0.5)

            def step(self, x, u):
                return self.fire(u - self.a * u + x)

    `step` takes this step's input `(B, *features)` and the states in the order of `states`, and
    returns the output and the new states in that order. It must be pure and elementwise.

    Args:
        features: the shape of one step without its batch, `(C, H, W)` or `C`; needed only where
            parameters differ within the layer. Sizes that do not matter may be -1.
        per: granularity of the parameters: one for the `"layer"`, one a `"channel"` (the first of
            the features) or one a `"neuron"`.
        threshold: firing threshold `V_th`; a neuron fires where `h >= V_th`.
        learn_threshold: train it.
        surrogate: the spike function, copied; a `Triangle` of width 1 unless the neuron says other.
        reset: `"hard"` (to zero), `"soft"` (subtract the threshold), `"smooth"` (a learned mix of
            the two), `"none"`, or a `Reset`.
        detach_reset: cut the gradient through the reset.
        learn_initial: train the states that a sequence starts from.
        backend: how `scan` runs it.

    Calling a neuron, `spikes = neuron(x)`, takes `x` of shape `(T, B, *features)`, starts from the
    initial state and returns spikes of the same shape and dtype. Nothing is kept between calls:
    `spikes, state = neuron(x, state, return_state=True)` goes on where a call ended. States are
    float32 at least; half-precision inputs are computed in float32. `neuron(x, drive=d)` adds a
    second sequence of the same shape to the charged membrane itself, past whatever the equation
    does to its input (delays come in there). `neuron(x, affine=(a, b))` reads its input as
    `a x + b`, without writing that anywhere; `a` and `b` broadcast to a step.
    """

    states: ClassVar[tuple[str, ...]] = ("u",)
    """Names of the states; the first is the membrane potential, which pictures, fixed points and
    derived windows are about."""

    initial: ClassVar[dict[str, float]] = {}
    """Values that states start from; those not named start from 0."""

    operations: ClassVar[tuple[int, int] | None] = None
    """Multiplications and additions of one update, in the cheapest algebraic form; None: count the
    step's own."""

    def __init__(
        self,
        features: Features = None,
        *,
        per: Per = "layer",
        threshold: float = 1.0,
        learn_threshold: bool = False,
        surrogate: Surrogate | None = None,
        reset: str | Reset = "hard",
        detach_reset: bool = False,
        learn_initial: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self._drive: list[Tensor] = []
        self.features = (features,) if isinstance(features, int) else features
        self.per = per
        self.backend = backend
        self._parameter_shape()
        if not threshold > 0:
            raise ValueError(f"threshold: expected a positive number, got {threshold}")
        self.threshold = self.parameter(threshold, learn=learn_threshold)
        # Copies: a factory with options hands the same objects to every layer.
        self.spike = Triangle() if surrogate is None else copy.deepcopy(surrogate)
        self.reset = copy.deepcopy(make_reset(reset, detach_reset))
        if self.spike.width.ndim and self.spike.width.shape != self.threshold.shape:
            raise ValueError(
                f"surrogate: expected a width of one number or of shape "
                f"{tuple(self.threshold.shape)} (per={per!r}), got {tuple(self.spike.width.shape)}"
            )
        for name in self.states:
            start = self.parameter(self.initial.get(name, 0.0), learn=learn_initial)
            setattr(self, f"{name}_0", start)

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One timestep: `(x, *states) -> (spikes, *new_states)`."""
        raise NotImplementedError(f"{type(self).__name__} does not define its step")

    def fire(self, h: Tensor, threshold: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spike where the charged membrane `h` reaches the threshold, and reset there."""
        h = self.driven(h)
        if self.spike.silent:
            return torch.zeros_like(h), h
        threshold = self.threshold if threshold is None else threshold
        s = self.spike(h - threshold)
        return s, self.reset(h, s, threshold)

    def driven(self, h: Tensor) -> Tensor:
        """The charged membrane with its drive; a step that does not `fire` calls this."""
        return h + self._drive.pop() if self._drive else h

    def charge(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The new states if no spike were fired: the step's dynamics alone."""
        twin = _shallow(self)
        twin.spike = _shallow(self.spike)
        twin.spike.silent = True
        return twin.step(x, *state)[1:]

    def parameter(self, value: float | Tensor, *, learn: bool = True) -> Tensor:
        """A parameter of this neuron's granularity (a buffer if it is not learned).

        Args:
            value: a number, or a tensor that broadcasts to the granularity's shape: `()` a layer,
                `(C, 1, 1)` a channel of feature maps, `features` a neuron.
        """
        shape = self._parameter_shape()
        given = torch.as_tensor(value, dtype=torch.float32)
        try:
            tensor = given.expand(shape).clone()
        except RuntimeError:
            raise ValueError(
                f"value: expected a number or a shape that broadcasts to {shape} "
                f"(per={self.per!r}), got {tuple(given.shape)}"
            ) from None
        return nn.Parameter(tensor) if learn else nn.Buffer(tensor)

    def initial_state(self) -> State:
        """The states that a sequence starts from, broadcastable to one step."""
        return tuple(getattr(self, f"{name}_0") for name in self.states)

    def variance(self, *, with_reset: bool = False) -> Tensor:
        """`Var[h]` of the charged membrane under normalised input, for derived windows.

        Propagated numerically through the step; a neuron with a closed form overrides this.
        """
        return membrane_variance(self, with_reset=with_reset)

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        drive: Tensor | None = None,
        affine: Affine | None = None,
        return_state: bool = False,
    ) -> Tensor | tuple[Tensor, State]:
        (spikes,), final, _ = self._run(x, state, drive, affine, final=return_state)
        return (spikes, final) if return_state else spikes

    def record(
        self, x: Tensor, state: State | None = None, *, drive: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Spikes and every state over time, by name, each `(T, B, *features)`."""
        (spikes,), _, states = self._run(x, state, drive, None, record=True)
        return {"spikes": spikes, **dict(zip(self.states, states, strict=True))}

    def extra_repr(self) -> str:
        return f"per={self.per}, threshold={self.threshold.mean().item():g}"

    def start(self, x: Tensor, state: State | None = None) -> State:
        """What a run over `x` starts from: the state, checked, or the initial one. A derived window
        is set from the parameters as they are now."""
        self._check_input(x)
        wide = torch.promote_types(torch.promote_types(x.dtype, torch.float32), self._dtype())
        if state is None:
            start = tuple(value.to(wide) for value in self.initial_state())
        else:
            start = check_state(state, self.states, x[0], wide)
        if self.spike.derived:
            with_reset = self.spike.derived == "derived-reset"
            with torch.no_grad():
                self.spike.fixed_width = 2 * self.variance(with_reset=with_reset).sqrt()
        return start

    def driven_step(self, x: Tensor, drive: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """`step` with a second input, which is added to the charged membrane."""
        twin = _shallow(self)
        twin._drive = [drive]
        result = twin.step(x, *state)
        if twin._drive:
            raise TypeError(
                f"drive: the step of {type(self).__name__} has no place for it; it has "
                "to pass its charged membrane through `fire` or `driven`"
            )
        return result

    def _run(
        self,
        x: Tensor,
        state: State | None,
        drive: Tensor | None,
        affine: Affine | None,
        **asked: bool,
    ) -> tuple[tuple[Tensor, ...], State, tuple[Tensor, ...]]:
        start = self.start(x, state)
        if drive is None and affine is None:
            return scan(self, (x,), start, backend=self.backend, **asked)
        if drive is not None and (not isinstance(drive, Tensor) or drive.shape != x.shape):
            got = tuple(drive.shape) if isinstance(drive, Tensor) else type(drive).__name__
            raise ValueError(f"drive: expected the shape of x, {tuple(x.shape)}, got {got}")
        if affine is not None:
            check_affine(affine, x)
        fed = Driven(self, affine, driven=drive is not None)
        inputs = (x,) if drive is None else (x, drive)
        return scan(fed, inputs, start, backend=self.backend, **asked)

    def kernel_source(self, backend: str) -> str:
        """The kernels that this neuron's equation becomes, as source for `"cpu"` or `"gpu"`."""
        return kernel_source(self, backend, n_states=len(self.states), dtype=self._dtype())

    def _dtype(self) -> torch.dtype:
        return self.threshold.dtype

    def _parameter_shape(self) -> tuple[int, ...]:
        if self.per == "layer":
            return ()
        if self.per not in ("channel", "neuron"):
            raise unknown("per", self.per, ("layer", "channel", "neuron"))
        needed = self.features if self.per == "neuron" else (self.features or ())[:1]
        if not needed or min(needed) < 1:
            raise ValueError(
                f"features: per={self.per!r} needs the shape of one step without its batch, "
                f"such as features=(64, 8, 8) for feature maps, got {self.features}"
            )
        if self.per == "neuron":
            return tuple(needed)
        assert self.features is not None
        return (self.features[0], *(1 for _ in self.features[1:]))

    def _check_input(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"x: expected a floating-point tensor, got {got}")
        if x.ndim < 2:
            raise ValueError(f"x: expected (T, B, ...), got shape {tuple(x.shape)}")
        if x.shape[0] == 0:
            raise ValueError(f"x: expected at least one timestep, got T=0 in {tuple(x.shape)}")
        if self.per == "layer" or self.features is None:
            return
        sizes = x.shape[2:]
        fits = len(sizes) == len(self.features) and all(
            want in (-1, got) for want, got in zip(self.features, sizes, strict=True)
        )
        if not fits:
            raise ValueError(
                f"x: expected (T, B, {', '.join(map(str, self.features))}) for per={self.per!r} "
                f"parameters, got {tuple(x.shape)}"
            )


def _shallow(module: Module) -> Module:
    """The module again, to be changed for one call: other threads go on with the one they have.
    (`copy.copy` would do, but `torch.compile` does not see through it.)"""
    twin: Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    twin.__dict__["_modules"] = dict(module._modules)
    return twin


def neurons_of(module: nn.Module) -> Iterator[tuple[str, Neuron]]:
    """Every neuron in a module, with its name."""
    for name, child in module.named_modules():
        if isinstance(child, Neuron):
            yield name, child


def dynamics_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The learned parameters of all neurons in a module (dynamics, thresholds, widths, states), and
    those that other layers name as their `dynamics`, such as delays.

    They belong in an optimiser group of their own: no weight decay, own learning rate.
    """
    found: list[Any] = []
    for part in module.modules():
        if isinstance(part, Neuron):
            found.extend(part.parameters())
        elif isinstance(part, Stateful):
            found.extend(getattr(part, name) for name in part.dynamics)
    return list({id(p): p for p in found if isinstance(p, nn.Parameter)}.values())
