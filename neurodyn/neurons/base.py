"""The neuron: an equation (`step`), its parameters, a spike, a reset; run over time by `scan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from neurodyn.declared import Declared, Learn, shallow
from neurodyn.learned import Learned
from neurodyn.neurons.driven import Affine, Driven, check_affine, check_drive
from neurodyn.neurons.layer import SpikingLayer, check_input, check_state, granularity
from neurodyn.neurons.options import check_options
from neurodyn.neurons.reset import Reset, make_reset
from neurodyn.neurons.window import membrane_variance
from neurodyn.scan import check_parallel, kernel_source, scan
from neurodyn.surrogate import Surrogate, Triangle, make_surrogate

Per = Literal["layer", "channel", "neuron"]
Features = int | tuple[int, ...] | None
State = tuple[Tensor, ...]

UNKNOWN_HORIZON = 100
"""Timesteps to remember, for the neurons that ask, where nothing says how long sequences are."""


class Neuron(SpikingLayer, Declared):
    """Base of all neurons. A subclass is its equation, and a line for each learned parameter:

        class Mine(Neuron):
            a = Learned(0.5)

            def step(self, x, u):
                return self.fire(u - self.a * u + x)

    `step` takes this step's input `(B, *features)` and the states in the order of `states`, and
    returns the output and the new states in that order. It must be pure and elementwise. A
    parameter, by its name, is an option of the constructor: a number, a tensor, or a pair to draw
    from (see `Learned`).

    Args:
        features: the shape of one step without its batch, `(C, H, W)` or `C`; needed only where
            parameters differ within the layer. Sizes that do not matter may be -1.
        per: granularity of the parameters: one value per `"layer"`, per `"channel"` (the first of
            the features) or per `"neuron"`.
        learn: True trains every parameter that is declared to be learned; False trains none, the
            threshold and initial states included; names, `("tau", "threshold")`, train just those.
        learn_threshold: train the threshold; unless given, as the neuron declares.
        learn_initial: train the states that a sequence starts from.
        surrogate: the spike function, copied, or its name; a `Triangle` of width 1 unless the
            neuron says otherwise.
        reset: `"hard"` (to zero), `"learned"` (to a learned value, from zero), `"soft"` (subtract
            the threshold), `"smooth"` (a learned mix of the two), `"none"`, or a `Reset`; hard
            unless the neuron says otherwise.
        detach_reset: cut the gradient through the reset.
        backend: how `scan` runs it; `"parallel"` takes linear dynamics alone.

    Calling a neuron, `spikes = neuron(x)`, takes `x` of shape `(T, B, *features)`, starts from the
    initial state and returns spikes of the same shape and dtype. Nothing is kept between calls:
    `spikes, state = neuron(x, state, return_state=True)` goes on where a call ended. States are
    float32 at least; half-precision inputs are computed in float32. `neuron(x, drive=d)` adds a
    second sequence of the same shape to the charged membrane itself, behind whatever the equation
    does to its input (delays come in there). `neuron(x, affine=(a, b))` reads its input as
    `a x + b`, without writing that anywhere; `a` and `b` broadcast to a step.
    """

    threshold = Learned(
        1.0, "firing threshold `V_th`; a neuron fires where `h >= V_th`", learn=False
    )

    states: tuple[str, ...] = ("u",)
    """Names of the states. The first is the membrane potential, which pictures, fixed points and
    derived windows are about."""

    initial: ClassVar[dict[str, float | str]] = {}
    """Where states start that do not start from 0: a number, or the name of a parameter."""

    operations: ClassVar[tuple[int, int] | None] = None
    """Multiplications and additions of one update, in the cheapest algebraic form; None: count the
    step's own."""

    default_surrogate: ClassVar[Callable[[], Surrogate]] = Triangle
    default_reset: ClassVar[str] = "hard"
    seen: list[Tensor] | None = None
    """Where `driven` notes the charged membrane, in a copy that records it."""

    own_reset: ClassVar[bool] = False
    """The reset is part of the equation; there is no option for it."""

    def __init__(
        self,
        features: Features = None,
        *,
        per: Per = "layer",
        learn: Learn = True,
        learn_threshold: bool | None = None,
        learn_initial: bool = False,
        surrogate: Surrogate | str | None = None,
        reset: str | Reset | None = None,
        detach_reset: bool = False,
        backend: str = "auto",
        **given: Any,
    ) -> None:
        super().__init__()
        self._drive: list[Tensor] = []
        self.features = (features,) if isinstance(features, int) else features
        self.per, self.backend = per, backend
        if backend == "parallel":
            check_parallel(self)
        if learn is not True:
            self._learn = (learn,) if isinstance(learn, str) else learn
        check_options(self, given)
        if per != "layer":
            self._granularity = granularity(per, self.features)
        if learn_threshold is not None and not isinstance(given.get("threshold"), Learned):
            self._own = {"threshold": self.declared["threshold"].changed(learn=learn_threshold)}
        for name, quantity in self.declared.items():
            if not quantity.vector or quantity.default is not None:
                self.start(name, given.get(name))
        if not bool(self.threshold.is_meta or (self.threshold > 0).all()):
            raise ValueError(f"threshold: expected a positive number, got {self.threshold}")
        spike = make_surrogate(surrogate) or type(self).default_surrogate()
        self.spike: Surrogate = self._adopted("surrogate", spike)
        if self.own_reset and (reset is not None or detach_reset):
            raise ValueError(f"reset: {type(self).__name__} has its own reset, got {reset!r}")
        reset = "none" if self.own_reset else reset or self.default_reset
        chosen = make_reset(reset, detach_reset, self._learn is True)
        self.reset: Reset = self._adopted("reset", chosen)
        for name in self.states:
            value = self.initial.get(name, 0.0)
            start = Learned(value, learn=learn_initial)
            self.start(f"{name}_0", None, start)

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One timestep: `(x, *states) -> (spikes, *new_states)`."""
        raise NotImplementedError(f"{type(self).__name__} does not define its step")

    def fire(self, h: Tensor, threshold: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spike where the charged membrane `h` reaches the threshold, and reset there."""
        h = self.driven(h)
        if self.spike.silent:
            return torch.zeros_like(h), h
        threshold = self.threshold if threshold is None else threshold
        s = self.emit(h, threshold)
        return s, self.reset(h, s, threshold)

    def emit(self, h: Tensor, threshold: Tensor) -> Tensor:
        """The spikes of this step, from the charged membrane."""
        s: Tensor = self.spike(h - threshold)
        return s

    def driven(self, h: Tensor) -> Tensor:
        """The charged membrane with its drive; a step that does not `fire` calls this."""
        h = h + self._drive.pop() if self._drive else h
        if self.seen is not None:
            self.seen.append(h)
        return h

    def charge(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The new states if no spike were fired: the step's dynamics alone."""
        twin = shallow(self)
        twin.spike = self.spike.silenced()
        return twin.step(x, *state)[1:]

    @property
    def nonlinear(self) -> str | None:
        """The neuron in words if its states do not follow the input linearly, or spikes act on
        them; None if `over_time` can run it."""
        return type(self).__name__

    def over_time(self, inputs: State, state: State) -> tuple[Tensor, ...]:
        """`step` for all steps at once, of linear dynamics: `((x[, drive]), states before)` to
        `(spikes, *states after)`."""
        raise NotImplementedError(f"{type(self).__name__} does not run all steps at once")

    def initial_state(self) -> State:
        """The states that a sequence starts from, broadcastable to one step."""
        return tuple([getattr(self, f"{name}_0") for name in self.states])

    def set_horizon(self, steps: int) -> None:
        """Get ready for sequences of this many steps, before training. Most neurons do nothing.
        Those whose start depends on it start again."""

    def variance(self, *, with_reset: bool = False) -> Tensor:
        """`Var[h]` of the charged membrane under normalised input, for derived windows.

        Propagated numerically through the step; a neuron with a closed form overrides this.
        """
        return membrane_variance(self, with_reset=with_reset)

    def width(self) -> Tensor:
        """The width of the surrogate window now: the spike's own, or, if that is derived, `2
        sqrt(Var[h])` from the parameters as they are."""
        if not self.spike.derived:
            return self.spike.width
        with torch.no_grad():
            variance: Tensor = self.variance(with_reset=self.spike.derived == "derived-reset")
            return 2 * variance.sqrt()

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
        """Spikes, the charged membrane `h` and every state over time, by name, each `(T, B,
        *features)`. There is no `h` if the step calls neither `fire` nor `driven`."""
        (spikes, *h), _, states = self._run(x, state, drive, None, record=True)
        charged = {"h": h[0]} if h else {}
        return {"spikes": spikes, **charged, **dict(zip(self.states, states, strict=True))}

    def start_state(self, x: Tensor, state: State | None = None) -> State:
        """What a run over `x` starts from: the state, checked, or the initial one."""
        check_input(x, self.features, self.per)
        start = self.initial_state()
        own = start[0].dtype if start else self.threshold.dtype
        wide = torch.promote_types(torch.promote_types(x.dtype, torch.float32), own)
        if state is None:
            return tuple([value.to(wide) for value in start])
        return check_state(state, self.states, x[0], wide)

    def cell(self) -> Neuron:
        """The neuron as a loop over time runs it: itself or, where its window is derived, a twin
        for this run, whose window has the width that follows from the parameters now."""
        # An exported program has no derivative, and so no window.
        if not self.spike.derived or torch.compiler.is_exporting():
            return self
        twin = shallow(self)
        twin.spike = self.spike.of_width(self.width())
        twin.__dict__["made_by"] = self, "cell", ()
        return twin

    def driven_step(self, x: Tensor, drive: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """`step` with a second input, which is added to the charged membrane."""
        twin = shallow(self)
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
        **asked: Any,
    ) -> tuple[tuple[Tensor, ...], State, tuple[Tensor, ...]]:
        start, cell = self.start_state(x, state), self.cell()
        charged = asked.get("record", False)
        if drive is None and affine is None and not charged:
            return scan(cell, (x,), start, backend=self.backend, **asked)
        if affine is not None:
            check_affine(affine, x)
        if drive is not None:
            check_drive(drive, x)
        driven = Driven(cell, affine, driven=drive is not None, charged=charged)
        driven.made_by = self, "_driven_cell", (affine is not None, drive is not None, charged)
        inputs = (x,) if drive is None else (x, drive)
        return scan(driven, inputs, start, backend=self.backend, **asked)

    def _driven_cell(self, mapped: bool, driven: bool, charged: bool) -> Driven:
        """A cell as `_run` makes them."""
        # Two tensors: one that is both would be one parameter.
        affine = (self.threshold.new_ones(1), self.threshold.new_zeros(1)) if mapped else None
        return Driven(self.cell(), affine, driven=driven, charged=charged)

    def kernel_source(self, backend: str) -> str:
        """The kernels that this neuron's equation becomes, as source for `"cpu"` or `"gpu"`."""
        dtype = self.threshold.dtype
        return kernel_source(self, backend, n_states=len(self.states), dtype=dtype)

    def extra_repr(self) -> str:
        return f"per={self.per}, {self.shown()}"

    def _adopted(self, option: str, part: Any) -> Any:
        """A copy of a spike or reset, its values of this neuron's granularity. (A factory with
        options hands the same objects to every layer.)"""
        try:
            return part.adopted(self._granularity)
        except ValueError as error:
            raise ValueError(f"{option}: {error} (per={self.per!r})") from None
