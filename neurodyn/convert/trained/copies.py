"""The single-spike copies of a layer of neurons, in discrete time."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurodyn.declared import shallow
from neurodyn.layers import Recurrent
from neurodyn.neurons import Neuron, SpikingLayer
from neurodyn.neurons.driven import check_drive

State = tuple[Tensor, Tensor, Tensor]
"""Membranes and which copies fired, `(B, M)`; last spikes of all copies of a neuron, `(B, n)`."""


class Layout(NamedTuple):
    """How the M copies of n neurons lie one after the other.

    Attributes:
        source: which neuron each is a copy of, `(M,)`.
        level: its number among that neuron's copies, from 1, `(M,)`.
        first, last: the first and last copy of each neuron, `(n,)`.
    """

    source: Tensor
    level: Tensor
    first: Tensor
    last: Tensor


class CopyLayer(SpikingLayer):
    """`bound` single-spike copies of each neuron of a layer, `(T, B, *features)` to the same.

    Copy `k` has the neuron's membrane without its reset, the threshold `k V_th`, and, where the
    membrane leaks, an edge of weight `V_th` from every earlier copy `j` of the same neuron, whose
    kernel begins where that copy fires, at `T_j`:

        v_k[t] = (membrane driven by x)[t] + V_th sum_{j < k, T_j <= t} (1 - decay^(t - T_j))
        copy k fires at the first t where v_k[t] >= k V_th, and never again

    `decay` is the share of the membrane that a step keeps; a neuron without leak has no edges. An
    edge has no effect in the step in which it begins, so copies that fire in the same step need no
    order. All copies take the same weights from all copies of a source, so the sum over them goes
    in and comes out, and no weight is copied.

    The two terms of an edge are kept apart: the lasting `V_th` is taken off the threshold, and the
    decaying one is taken off the membrane. Each copy then does, in floating point too, what the
    neuron does until the copy fires, and the sum of the copies equals the neuron with
    `emission="graded"` bit for bit (on a kernel, as long as it computes the neuron's parameters as
    PyTorch does). Nothing here is differentiable.

    Args:
        layer: IF, LIF, PLIF or DecayLIF with a soft reset; or `Recurrent` around one, whose weights
            then lead from all copies to all copies.
        bound: the number of copies: of every neuron, or `(*features)`, of each.
        name: what errors call the layer.
    """

    bound: Tensor

    def __init__(self, layer: Neuron | Recurrent, bound: int | Tensor, name: str = "") -> None:
        super().__init__()
        self.layer, self.name = layer, name
        self.register_buffer("bound", torch.as_tensor(bound, dtype=torch.int64), persistent=False)

    @property
    def neuron(self) -> Neuron:
        """The neuron that is copied."""
        return self.layer if isinstance(self.layer, Neuron) else self.layer.neuron

    @property
    def threshold(self) -> Tensor:  # type: ignore[override]
        """The neuron's threshold."""
        return self.neuron.threshold

    @property
    def operations(self) -> tuple[int, int]:
        """Not known: all copies are run as one layer."""
        raise ValueError(
            "operations: a meter sees one layer where there are many copies; compare_unfolded "
            "counts the neurons, synapses and spikes of a twin"
        )

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        drive: Tensor | None = None,
        return_state: bool = False,
    ) -> Any:
        spikes, _, after = self.run(x, state, drive)
        return (spikes, after) if return_state else spikes

    def times(self, x: Tensor) -> Tensor:
        """The step in which each copy fires, `(B, M)`; -1 if it does not."""
        _, times, _ = self.run(x)
        return times[:, self._real(x)]

    def sources(self, x: Tensor) -> Tensor:
        """The number of the neuron, in flattened features, that each copy is of, `(M,)`."""
        return self._layout(x).source[self._real(x)]

    @torch.no_grad()
    def run(
        self, x: Tensor, state: State | None = None, drive: Tensor | None = None
    ) -> tuple[Tensor, Tensor, State]:
        """The spikes of all copies of a neuron added up, the step in which each copy fired first
        (-1 if it did not), and the state. Each neuron has one more copy here than its bound, which
        has to be silent."""
        (start,) = self.neuron.start_state(x)
        if bool(x.isnan().any()):
            raise ValueError(f"x: expected numbers, got NaN at {self.name or 'the copies'!r}")
        if drive is not None:
            check_drive(drive, x)
        layout = self._layout(x)
        source, wide = layout.source, x.to(start.dtype).flatten(2)
        cell, threshold = self._cell(x, source), self._each(self.threshold, x, source)
        level = layout.level.to(start.dtype)
        going_on = state is not None
        if state is None:
            u = start.expand(x.shape[1:]).flatten(1)[:, source]
            state = u, torch.zeros_like(u, dtype=torch.bool), torch.zeros_like(wide[0])
        u, fired, spikes = state
        earlier, _ = _count(fired, layout)
        times = torch.full_like(u, -1, dtype=torch.int64)
        sums = []
        for t in range(len(x)):
            driven = [] if drive is None else [drive[t].to(start.dtype).flatten(1)[:, source]]
            h = _charged(cell, self._input(wide[t], spikes)[:, source], u, driven)
            new = (h >= (level - earlier) * threshold) & ~fired
            ahead, total = _count(new, layout)
            u = self.neuron.reset(h, ahead.to(h.dtype), threshold)
            earlier, fired = earlier + ahead, fired | new
            times, spikes = torch.where(new, t, times), total.to(h.dtype)
            sums.append(spikes)
        beyond = fired[:, layout.last].any(0)
        if bool(beyond.any()):
            raise self._too_few(int(beyond.int().argmax()), x, drive, whole=not going_on)
        course = torch.stack(sums).to(x.dtype).unflatten(2, x.shape[2:])
        return course, times, (u, fired, spikes)

    def _input(self, now: Tensor, last: Tensor) -> Tensor:
        """The input of a step, `(B, n)`, with what comes back from the last spikes."""
        if isinstance(self.layer, Neuron):
            return now
        V = self.layer.V.masked_fill(self.layer.diagonal, 0)
        return torch.addmm(now, last, V.to(now.dtype))

    def _bounds(self, x: Tensor) -> Tensor:
        """The bound of each neuron, `(n,)`."""
        try:
            return self.bound.expand(x.shape[2:]).flatten()
        except RuntimeError:
            raise ValueError(
                f"x: expected (T, B, {', '.join(map(str, self.bound.shape))}) at {self.name!r}, "
                f"one bound for each neuron, got {tuple(x.shape)}"
            ) from None

    def _layout(self, x: Tensor) -> Layout:
        """Of the copies, and of one more for each neuron."""
        made = self._bounds(x) + 1
        source = torch.arange(len(made), device=made.device).repeat_interleave(made)
        last = made.cumsum(0) - 1
        first = last - made + 1
        level = torch.arange(len(source), device=made.device) - first[source] + 1
        return Layout(source, level, first, last)

    def _real(self, x: Tensor) -> Tensor:
        """Which copies are not the one more."""
        layout = self._layout(x)
        return layout.level <= self._bounds(x)[layout.source]

    def _each(self, value: Tensor, x: Tensor, source: Tensor) -> Tensor:
        """A quantity of the neurons for each copy."""
        return value.expand(x.shape[2:]).flatten()[source]

    def _cell(self, x: Tensor, source: Tensor) -> Neuron:
        """The neuron as its copies see it: its quantities one for each of them."""
        cell = shallow(self.neuron)
        names = (name for name in type(self.neuron).declared)
        values = {name: self._each(getattr(self.neuron, name), x, source) for name in names}
        cell.__dict__.update(_parameters={}, _buffers=values)
        cell.spike = self.neuron.spike.silenced()
        return cell

    def _too_few(self, i: int, x: Tensor, drive: Tensor | None, *, whole: bool) -> ValueError:
        """The error for a neuron that fires more often than it has copies; of a whole sequence
        without recurrence, it says how often."""
        index = tuple(int(k) for k in torch.unravel_index(torch.tensor(i), x.shape[2:]))
        neuron, often = shallow(self.neuron), "more often"
        if whole and isinstance(self.layer, Neuron):
            neuron.emission, neuron.backend = "graded", "reference"
            often = f"{int(neuron(x, drive=drive).sum(0).flatten(1)[:, i].max())} times"
        return ValueError(
            f"bound: neuron {index} of {self.name or 'the layer'!r} has "
            f"the bound {int(self._bounds(x)[i])} and fires {often}; "
            "measured_bound(trained, batches) finds the bounds of a data set"
        )

    def extra_repr(self) -> str:
        low, high = int(self.bound.min()), int(self.bound.max())
        return f"bound={low}" if low == high else f"bound={low}..{high}"


def _charged(cell: Neuron, x: Tensor, u: Tensor, drive: list[Tensor]) -> Tensor:
    """The membranes after leak, input and drive."""
    _, h = cell.driven_step(x, *drive, u) if drive else cell.step(x, u)
    return h


def _count(flags: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Of flags `(B, M)`: for each copy, how many earlier copies of its neuron have one, `(B, M)`;
    for each neuron, how many of its copies, `(B, n)`."""
    upto = flags.cumsum(1, dtype=torch.int32)
    before = upto - flags.int()
    start = before[:, layout.first]
    return before - start[:, layout.source], upto[:, layout.last] - start
