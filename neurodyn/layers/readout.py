"""Read-outs: the scores `(B, K)` of a sequence of outputs `(T, B, K)`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.errors import unknown
from neurodyn.neurons import Stateful
from neurodyn.scan import scan

State = tuple[Tensor, ...]


class Readout(Stateful):
    """Base of the read-outs: `scores = readout(outputs)`. The state is handed on as in `Stateful`:
    the scores of a sequence in chunks are those of the whole.

    Half-precision outputs are summed in float32.
    """

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The scores `(B, K)` after these outputs, and the state."""
        raise NotImplementedError(f"{type(self).__name__} does not define its read")

    def forward(
        self, outputs: Tensor, state: State | None = None, *, return_state: bool = False
    ) -> Any:
        if outputs.ndim != 3 or len(outputs) == 0:
            raise ValueError(f"outputs: expected (T, B, classes), got {tuple(outputs.shape)}")
        wide = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        scores, state = self.read(wide, state)
        return (scores, state) if return_state else scores


class Mean(Readout):
    """The mean over time."""

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        total, count = outputs.sum(0), outputs.new_full((), len(outputs))
        if state is not None:
            total, count = total + state[0], count + state[1]
        return total / count, (total, count)


class Last(Readout):
    """The last step."""

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        return outputs[-1], ()


class Max(Readout):
    """The largest value over time."""

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        largest = outputs.amax(0)
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

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        _, y = self.integrate(outputs, state)
        return y, (y,)


class LeakyMax(Leaky):
    """`y[t] = a y[t-1] + o[t]`, score `max_t y[t]` (SpikGRU, Dampfhoffer et al. 2022; CS-GRU,
    Abdennadher et al. 2025). `a` starts at .9 and stays within [0, 1].

    Takes the options of `Leaky`.
    """

    def step(self, o: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        y = self.a * y + o
        return y, y

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        course, y = self.integrate(outputs, state)
        largest = course.amax(0)
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

    def read(self, outputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        course, y = self.integrate(outputs, state)
        total = course.softmax(-1).sum(0)
        if state is not None:
            total = total + state[1]
        return total, (y, total)


READOUTS: dict[str, type[Readout]] = {
    "mean": Mean,
    "last": Last,
    "max": Max,
    "leaky": Leaky,
    "leaky-max": LeakyMax,
    "softmax-sum": SoftmaxSum,
}


def make_readout(name: str, classes: int) -> Readout:
    """A read-out by its name, one of `READOUTS`."""
    if name not in READOUTS:
        raise unknown("readout", name, READOUTS)
    cls = READOUTS[name]
    return cls(classes) if issubclass(cls, Leaky) else cls()
