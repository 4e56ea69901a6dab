"""A phase portrait: where each pair of states goes in one step, and where it stays."""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor, nn

from neurodyn.analysis.modes import in_double, jacobian, newton, rest_state
from neurodyn.analysis.pictures import GUIDE, LEARNED, REFERENCE
from neurodyn.declared import shallow
from neurodyn.neurons import Neuron

CLINES = ("#e08a1e", "#2a9d5c")
"""Colours of the two nullclines."""
FARTHEST = 4.0
"""Thresholds from rest beyond which a trajectory is not followed."""
FINE, COARSE = 161, 15
"""Points per side of the grids for nullclines and for arrows."""


class Plane:
    """A neuron's step on two of its states, with a constant input; the others are held at rest.

    Args:
        neuron: a neuron with two states or more.
        index: which element of its granularity.
        states: names of the two states.
        x: the input.
    """

    def __init__(self, neuron: Neuron, index: int, states: tuple[str, str], x: float) -> None:
        self.neuron, self.index, self.x = in_double(neuron), index, x
        self.pair = [neuron.states.index(name) for name in states]
        rest = torch.stack(rest_state(neuron, x), -1)
        self.rest = rest.flatten(0, -2)[index]
        self.threshold = self.neuron.threshold.detach().flatten()[index].item()

    def charged(self, points: Tensor) -> tuple[Tensor, Tensor | None]:
        """The states after a step without spike from each point, `(P, 2)`, and by how much the
        neuron passes its threshold in that step, `(P,)`; None if it does not compare."""
        watch = _Watch()
        twin = shallow(self.neuron)
        twin.spike = watch  # type: ignore[assignment]
        _, after = self._step(twin, self._whole(points))
        margin = self._one(watch.seen[-1]) if watch.seen else None
        return after[:, self.pair], margin

    def fixed_points(self, starts: Tensor) -> list[tuple[Tensor, bool]]:
        """Points that a step maps to themselves, as Newton's method finds them from some starts;
        with each, whether it is stable."""
        points, settled = newton(lambda p: self.charged(p)[0], self._jacobian, starts)
        found: list[Tensor] = []
        for point in points[settled]:
            if all((point - other).abs().max() > 1e-6 for other in found):
                found.append(point)
        sizes = [torch.linalg.eigvals(self._jacobian(p[None])).abs().max() for p in found]
        return [(p, bool(size < 1)) for p, size in zip(found, sizes, strict=True)]

    def trajectory(self, start: Tensor, steps: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Where a neuron goes from a point, spikes and all: for each step the pair of states before
        it, charged, and after it. It ends far from rest."""
        course, state = [], self._whole(start[None])
        for _ in range(steps):
            charged = self.neuron.charge(*self._inputs(state))
            whole = torch.stack([self._one(s) for s in charged], -1)
            after = self._step(self.neuron, state)[1]
            course.append(tuple(s[0, self.pair] for s in (state, whole, after)))
            far = (whole[0, 0] - self.rest[0]).abs() > FARTHEST * self.threshold
            if far or not bool(after.isfinite().all()):
                break
            state = after
        return course  # type: ignore[return-value]

    def _whole(self, points: Tensor) -> Tensor:
        """All states at each point, `(P, states)`."""
        state = self.rest.expand(len(points), -1).clone()
        state[:, self.pair] = points
        return state

    def _inputs(self, state: Tensor) -> list[Tensor]:
        """What a step takes: the input and each state, `(P, *granularity)`."""
        shape = self.neuron.threshold.shape
        wide = [s.reshape(-1, *(1 for _ in shape)).expand(-1, *shape) for s in state.unbind(-1)]
        return [torch.full_like(wide[0], self.x), *wide]

    def _one(self, value: Tensor) -> Tensor:
        return value.flatten(1)[:, self.index].detach()

    def _step(self, neuron: Neuron, state: Tensor) -> tuple[Tensor, Tensor]:
        inputs = self._inputs(state)
        spikes, *after = neuron.step(*inputs)
        return self._one(spikes), torch.stack(
            [self._one(s.expand_as(inputs[0])) for s in after], -1
        )

    def _jacobian(self, points: Tensor) -> Tensor:
        _, *states = self._inputs(self._whole(points))
        whole = jacobian(self.neuron, *states, x=self.x).flatten(1, -3)[:, self.index]
        return whole[:, self.pair][:, :, self.pair]


class _Watch(nn.Module):
    """A spike function that never fires, and notes what it was given."""

    silent = False

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, v: Tensor) -> Tensor:
        self.seen.append(v)
        return torch.zeros_like(v)


@torch.no_grad()
def plot_phase(
    neuron: Neuron,
    x: float = 0.0,
    *,
    index: int = 0,
    states: tuple[str, str] | None = None,
    bounds: tuple[tuple[float, float], tuple[float, float]] | None = None,
    steps: int = 80,
    title: str = "",
) -> Figure:
    """The phase portrait of a neuron with two states and a constant input.

    Grey arrows show the direction of a step; all have the same length. On a nullcline one state
    does not change. Both cross at a fixed point, filled if it is stable. Trajectories start from
    the open rings, and dotted lines are resets. The neuron fires where it is charged beyond the
    dashed line.

    Args:
        neuron: a neuron with two states or more.
        x: the input at every step.
        index: which neuron of the layer, if they have parameters of their own.
        states: the two states to draw, the first two unless given. Arrows, nullclines and fixed
            points hold the others at rest; trajectories do not.
        bounds: `(low, high)` of each state; around the trajectories unless given.
        steps: length of a trajectory.
        title: of the picture.
    """
    if len(neuron.states) < 2:
        raise ValueError(f"neuron: expected two states or more, got {neuron.states}")
    states = states or (neuron.states[0], neuron.states[1])
    for name in states:
        if name not in neuron.states:
            raise ValueError(f"states: expected two of {neuron.states}, got {states}")
    plane = Plane(neuron, index, states, x)
    courses = [plane.trajectory(start, steps) for start in _starts(plane, steps)]
    lows, highs = _bounds(plane, courses) if bounds is None else zip(*bounds, strict=True)
    low, high = torch.tensor(lows).double(), torch.tensor(highs).double()
    figure = Figure(figsize=(5.4, 5.4), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(lows[0], highs[0]), ylim=(lows[1], highs[1]))
    axis.set_xlabel(f"state {states[0]}", fontsize=10)
    axis.set_ylabel(f"state {states[1]}", fontsize=10)
    axis.tick_params(labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    _draw_field(axis, plane, low, high)
    handles = _draw_threshold(axis, plane, low, high)
    handles += _draw_nullclines(axis, plane, low, high, states)
    for course in courses:
        _draw_course(axis, course)
    handles.append(Line2D([], [], color=LEARNED, lw=1.6, label="trajectory"))
    handles += _draw_fixed_points(axis, plane, low, high)
    style: dict[str, Any] = {"fontsize": 9, "title_fontsize": 11, "frameon": False, "ncols": 2}
    figure.legend(handles=handles, loc="outside upper center", title=title, **style)
    return figure


def _starts(plane: Plane, steps: int) -> list[Tensor]:
    """Four points: the first state away from rest, and the second as far away as it gets then."""
    rest, kick = plane.rest[plane.pair], 0.9 * plane.threshold
    first = [rest + torch.tensor([sign * kick, 0.0]).double() for sign in (1, -1)]
    reached = [after[1] - rest[1] for s in first for _, _, after in plane.trajectory(s, steps)]
    far = torch.stack(reached).abs().max().item()
    far = far if far > 0.01 * kick and math.isfinite(far) else kick
    return first + [rest + torch.tensor([0.0, sign * far]).double() for sign in (1, -1)]


def _bounds(plane: Plane, courses: list[Any]) -> tuple[list[float], list[float]]:
    points = torch.stack([p for course in courses for step in course for p in step])
    farthest = FARTHEST * plane.threshold
    u = points[:, 0].clamp(plane.rest[0] - farthest, plane.rest[0] + farthest)
    low = [min(u.min().item(), -0.2 * plane.threshold), points[:, 1].min().item()]
    high = [max(u.max().item(), plane.threshold), points[:, 1].max().item()]
    room = [0.1 * (b - a) or 1.0 for a, b in zip(low, high, strict=True)]
    lows = [a - r for a, r in zip(low, room, strict=True)]
    return lows, [b + r for b, r in zip(high, room, strict=True)]


def _grid(low: Tensor, high: Tensor, side: int) -> Tensor:
    """Points of a square grid, `(side^2, 2)`, row by row."""
    share = torch.linspace(0, 1, side, dtype=low.dtype)
    return low + torch.cartesian_prod(share, share).flip(-1) * (high - low)


def _draw_field(axis: Any, plane: Plane, low: Tensor, high: Tensor) -> None:
    inset = 0.03 * (high - low)
    points = _grid(low + inset, high - inset, COARSE)
    step = plane.charged(points)[0] - points
    length = (step / (high - low)).norm(dim=1, keepdim=True).clamp(min=1e-12)
    arrows = 0.045 * step / length
    where: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "pivot": "mid"}
    look: dict[str, Any] = {"color": GUIDE, "width": 0.0035, "zorder": 1}
    axis.quiver(points[:, 0], points[:, 1], arrows[:, 0], arrows[:, 1], **where, **look)


def _draw_nullclines(
    axis: Any, plane: Plane, low: Tensor, high: Tensor, states: tuple[str, str]
) -> list[Line2D]:
    points = _grid(low, high, FINE)
    change = plane.charged(points)[0] - points
    x, y, *changes = (
        v.reshape(FINE, FINE) for v in (points[:, 0], points[:, 1], change[:, 0], change[:, 1])
    )
    for values, colour in zip(changes, CLINES, strict=True):
        if bool((values > 0).any() and (values < 0).any()):
            axis.contour(x, y, values, levels=[0.0], colors=colour, linewidths=2, zorder=3)
    return [
        Line2D([], [], color=colour, lw=2, label=f"{name} does not change")
        for colour, name in zip(CLINES, states, strict=True)
    ]


def _draw_threshold(axis: Any, plane: Plane, low: Tensor, high: Tensor) -> list[Line2D]:
    """Where charged states reach the threshold. The grid is wider: a step may shrink it."""
    charged, margin = plane.charged(_grid(1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low, 61))
    if margin is None or bool((margin > 0).all() or (margin < 0).all()):
        return []
    look: dict[str, Any] = {"colors": "#404040", "linestyles": "--", "linewidths": 1.2}
    axis.tricontour(charged[:, 0], charged[:, 1], margin, levels=[0.0], zorder=2, **look)
    return [Line2D([], [], color="#404040", ls="--", lw=1.2, label="threshold")]


def _draw_fixed_points(axis: Any, plane: Plane, low: Tensor, high: Tensor) -> list[Line2D]:
    seen = {}
    for point, stable in plane.fixed_points(_grid(low, high, 9)):
        if bool(((low <= point) & (point <= high)).all()):
            look = {"color": "black", "mfc": "black" if stable else "white", "ms": 8, "zorder": 6}
            label = f"{'stable' if stable else 'unstable'} fixed point"
            (seen[stable],) = axis.plot(*point.tolist(), "o", label=label, **look)
    return list(seen.values())


def _draw_course(axis: Any, course: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    axis.plot(*course[0][0].tolist(), "o", color=LEARNED, mfc="white", ms=6, mew=1.5, zorder=5)
    for before, charged, after in course:
        line = torch.stack([before, charged])
        axis.plot(line[:, 0], line[:, 1], color=LEARNED, lw=1.4, marker=".", ms=4, zorder=4)
        if not torch.equal(charged, after):
            jump = torch.stack([charged, after])
            axis.plot(jump[:, 0], jump[:, 1], color=REFERENCE, lw=1, ls=":", zorder=4)
