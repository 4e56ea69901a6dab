"""Read-outs: the scores of a sequence of outputs `(T, B, K)`, at its end or at every step."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.layers.time import valid_steps
from neurodyn.neurons import Stateful
from neurodyn.scan import scan

State = tuple[Tensor, ...]


class Readout(Stateful):
    """Base of the read-outs: `scores = readout(outputs)`, `(B, K)`, or `(T, B, K)` for those that
    are `per_step`. The state is handed on as in `Stateful`: the scores of a sequence in chunks are
    those of the whole.

    Under `neurodyn.layers.padded`, the scores of a sequence are those at its own end.
    Half-precision outputs are summed in float32.
    """

    per_step: ClassVar[bool] = False
    """Whether there are scores at every step."""

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        """The scores after these outputs, and the state.

        Args:
            outputs: `(T, B, K)`.
            state: after the outputs before; None at the start.
            valid: the steps that are not padding, `(T, B, 1)`; None if all are.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define its read")

    def forward(
        self, outputs: Tensor, state: State | None = None, *, return_state: bool = False
    ) -> Any:
        if outputs.ndim != 3 or len(outputs) == 0:
            raise ValueError(f"outputs: expected (T, B, classes), got {tuple(outputs.shape)}")
        wide = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        valid = valid_steps()
        scores, state = self.read(wide, state, None if valid is None else valid.unsqueeze(-1))
        return (scores, state) if return_state else scores


class Mean(Readout):
    """The mean over time."""

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        total, count = _filled(outputs, valid, 0.0).sum(0), outputs.new_full((), len(outputs))
        if valid is not None:
            count = valid.sum(0).to(outputs.dtype)
        if state is not None:
            total, count = total + state[0], count + state[1]
        return total / count, (total, count)


class Last(Readout):
    """The last step."""

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        return _at_end(outputs, valid), ()


class Max(Readout):
    """The largest value over time."""

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        largest = _filled(outputs, valid, -math.inf).amax(0)
        if state is not None:
            largest = torch.maximum(largest, state[0])
        return largest, (largest,)


class Leaky(Readout):
    """A leaky integrator that never spikes: `y[t] = a y[t-1] + (1 - a) o[t]`, score `y[T]`.

    Args:
        classes: number of outputs, each with its own `a`.
        decay: the start of `a`, drawn uniformly from a pair `(low, high)`.
        bounds: `a` is clamped to these when it is used.
    """

    def __init__(
        self,
        classes: int,
        *,
        decay: float | tuple[float, float] = 0.9,
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        low, high = decay if isinstance(decay, tuple) else (decay, decay)
        if not bounds[0] <= low <= high <= bounds[1]:
            raise ValueError(
                f"decay: expected a number, or (low, high), within bounds={bounds}, got {decay}"
            )
        self.bounds = bounds
        self.decay = nn.Parameter(torch.empty(classes).uniform_(low, high))

    @property
    def a(self) -> Tensor:
        """The decay per step, one per class."""
        return self.decay.clamp(*self.bounds)

    def step(self, o: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """One timestep of the integrator. Its output is its state."""
        y = self.a * y + (1 - self.a) * o
        return y, y

    def integrate(self, outputs: Tensor, state: State | None) -> tuple[Tensor, Tensor]:
        """The integrator over time, and its last value."""
        start = torch.zeros_like(outputs[0]) if state is None else state[0]
        (course,), (y,), _ = scan(self, (outputs,), (start,))
        return course, y

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        course, _ = self.integrate(outputs, state)
        y = _at_end(course, valid)
        return y, (y,)


class LeakyMax(Leaky):
    """`y[t] = a y[t-1] + o[t]`, score `max_t y[t]` (SpikGRU, Dampfhoffer et al. 2022; CS-GRU,
    Abdennadher et al. 2025). `a` starts at .9 and stays within [0, 1].

    Takes the options of `Leaky`.
    """

    def step(self, o: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        y = self.a * y + o
        return y, y

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        course, y = self.integrate(outputs, state)
        largest = _filled(course, valid, -math.inf).amax(0)
        if state is not None:
            largest = torch.maximum(largest, state[1])
        return largest, (y, largest)


class SoftmaxSum(Leaky):
    """`y[t] = a y[t-1] + (1 - a) o[t]`, score `sum_t softmax(y[t])`. The papers take the
    cross-entropy of this score (Bittar & Garner 2022; Karilanova et al., arXiv:2512.01906).

    Args:
        classes: number of outputs, each with its own `a`.
        decay, bounds: as for `Leaky`; in the paper they are the same range.
    """

    def __init__(
        self,
        classes: int,
        *,
        decay: float | tuple[float, float] = (0.36, 0.96),
        bounds: tuple[float, float] = (0.36, 0.96),
    ) -> None:
        super().__init__(classes, decay=decay, bounds=bounds)

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        course, y = self.integrate(outputs, state)
        total = _filled(course.softmax(-1), valid, 0.0).sum(0)
        if state is not None:
            total = total + state[1]
        return total, (y, total)


class Each(Readout):
    """The outputs as they are, at every step."""

    per_step = True

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        return outputs, ()


class Membrane(Leaky):
    """The membranes of leaky integrators that never spike, at every step:

        y[t] = a y[t-1] + (1 - a) o[t]

    Takes the options of `Leaky`.
    """

    per_step = True

    def read(
        self, outputs: Tensor, state: State | None, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        course, y = self.integrate(outputs, state)
        return course, (y,)


READOUTS: dict[str, type[Readout]] = {
    "mean": Mean,
    "last": Last,
    "max": Max,
    "leaky": Leaky,
    "leaky-max": LeakyMax,
    "softmax-sum": SoftmaxSum,
    "each": Each,
    "membrane": Membrane,
}


def make_readout(name: str, classes: int) -> Readout:
    """A read-out by its name, one of `READOUTS`."""
    if name not in READOUTS:
        raise unknown("readout", name, READOUTS)
    cls = READOUTS[name]
    return cls(classes) if issubclass(cls, Leaky) else cls()


def _filled(outputs: Tensor, valid: Tensor | None, value: float) -> Tensor:
    """The outputs, with a value at padding."""
    return outputs if valid is None else outputs.where(valid, value)


def _at_end(outputs: Tensor, valid: Tensor | None) -> Tensor:
    """The outputs at the last step that is not padding, `(B, K)`."""
    if valid is None:
        return outputs[-1]
    last = valid.sum(0) - 1
    return outputs.gather(0, last.expand(1, *outputs.shape[1:])).squeeze(0)
