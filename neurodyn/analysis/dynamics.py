"""What a neuron has learned: its map `u -> F(u)`, fixed points, stability, family.

Everything is read off the step with the input held constant and the spike silenced, so it serves
any neuron. Neurons of several states are seen through their first, the others at their initial
values.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from neurodyn.neurons import Neuron

BY_STABILITY = {
    (True,): "non-linear leak",
    (True, False): "QIF-like",
    (False, True): "mirrored QIF",
    (True, False, True): "bistable",
    (False, True, False): "two critical",
}
"""Families of dynamics by the stability of their fixed points, from the lowest potential up."""


@dataclass(frozen=True)
class FixedPoint:
    """A potential that a step maps to itself: `F(u) + x = u`.

    Attributes:
        u: the potential.
        slope: `dF/du` there; the next step's deviation is `slope` times this one's.
    """

    u: float
    slope: float

    @property
    def stable(self) -> bool:
        """Small deviations die out: `|slope| < 1`."""
        return abs(self.slope) < 1

    @property
    def rings(self) -> bool:
        """Deviations change sign at every step: `slope < 0`."""
        return self.slope < 0


@torch.no_grad()
def membrane_map(neuron: Neuron, u: Tensor, x: float = 0.0) -> Tensor:
    """The charged membrane after a step from each potential in `u`, before spike and reset.

    Returns `(len(u), *granularity)`: one curve per layer, channel or neuron.
    """
    shape = neuron.threshold.shape
    grid = u.to(neuron.threshold).reshape(-1, *(1 for _ in shape)).expand(-1, *shape)
    others = [value.expand_as(grid) for value in neuron.initial_state()[1:]]
    return neuron.charge(torch.full_like(grid, x), grid, *others)[0]


def fixed_points(
    neuron: Neuron, x: float = 0.0, bounds: tuple[float, float] = (-4.0, 4.0), points: int = 4001
) -> list[FixedPoint]:
    """The fixed points of a layer-wise neuron within bounds, by sign changes and bisection.

    Two that lie closer than the grid's spacing are missed; where every potential is a fixed point,
    as in IF without input, none is listed.

    Args:
        neuron: with one set of parameters (`per="layer"`).
        x: constant input.
        bounds: where to look; outside a polynomial's clip the map is no longer the polynomial.
        points: grid to look for sign changes on.
    """
    neuron = _in_double(neuron)

    def residual(u: Tensor) -> Tensor:
        return membrane_map(neuron, u, x).flatten() - u

    grid = torch.linspace(*bounds, points, dtype=torch.float64)
    value = residual(grid)
    # A root that lies on the grid; neighbours that are all roots are no points.
    zero = torch.nn.functional.pad(value == 0, (1, 1))
    touches = grid[zero[1:-1] & ~zero[:-2] & ~zero[2:]].tolist()
    crossing = (value[:-1] * value[1:] < 0).nonzero().flatten()
    low, high = grid[crossing], grid[crossing + 1]
    if len(crossing):
        rising = residual(high) > 0
        for _ in range(60):
            middle = (low + high) / 2
            above = (residual(middle) > 0) == rising
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    roots = sorted([*touches, *((low + high) / 2).tolist()])
    step = 1e-3
    around = torch.tensor([[u - step, u + step] for u in roots], dtype=torch.float64).reshape(-1)
    ends = membrane_map(neuron, around, x).reshape(-1, 2)
    slopes = ((ends[:, 1] - ends[:, 0]) / (2 * step)).tolist()
    return [FixedPoint(u, slope) for u, slope in zip(roots, slopes, strict=True)]


def family(neuron: Neuron, bounds: tuple[float, float] = (-2.0, 2.0)) -> str:
    """The one of `families` of a neuron with one set of parameters (`per="layer"`)."""
    return families(_in_double(neuron), bounds)[0]


def families(
    neuron: Neuron, bounds: tuple[float, float] = (-2.0, 2.0), most: int = 1024
) -> list[str]:
    """Names for the dynamics without input, one a layer, channel or neuron, between the bounds,
    from `f(u) = F(u) - u`:

    - `"LIF-like"`: falls along a straight line (within 5 % of its range);
    - `"self-exciting"`: rises everywhere;
    - `"non-linear leak"`: one fixed point, a stable rest, but not along a line;
    - `"bistable"`: three roots, the outer ones stable;
    - `"QIF-like"`: two roots, a stable rest below an unstable critical potential;
    - `"mirrored QIF"`: two roots, the stable rest above the critical potential;
    - `"two critical"`: three roots, a stable rest between two critical potentials;
    - `"other"`: any other, such as no fixed point at all, or one that is not stable.

    Args:
        neuron: of any granularity.
        bounds: where to look; two roots closer than an 800th of them are missed.
        most: of more maps than this, as many are taken, evenly spaced.
    """
    neuron = copy.deepcopy(neuron).double()
    u = torch.linspace(*bounds, 801, dtype=torch.float64)
    count = neuron.threshold.numel()
    chosen = torch.linspace(0, count - 1, min(most, count)).long()
    # A few potentials at a time: the maps of a large layer's neurons would not fit into memory.
    maps = [membrane_map(neuron, part).reshape(len(part), -1)[:, chosen] for part in u.split(64)]
    f = torch.cat(maps) - u[:, None]
    line = torch.stack([u, torch.ones_like(u)], 1)
    fit = torch.linalg.lstsq(line, f).solution
    range_ = f.amax(0) - f.amin(0)
    straight = (f - line @ fit).abs().amax(0) < 0.05 * range_
    lif = straight & (fit[0] < 0)
    exciting = (f.diff(dim=0) > 0).all(0)
    crosses = (f >= 0).diff(dim=0)
    stable = (1 + f.diff(dim=0) / u.diff()[:, None]).abs() < 1
    found = [tuple(stable[crosses[:, i], i].tolist()) for i in range(len(chosen))]
    return [
        "LIF-like"
        if lif[i]
        else "self-exciting"
        if exciting[i]
        else BY_STABILITY.get(roots, "other")
        for i, roots in enumerate(found)
    ]


def _in_double(neuron: Neuron) -> Neuron:
    if neuron.per != "layer":
        raise ValueError(f"neuron: expected per='layer', got per={neuron.per!r}")
    return copy.deepcopy(neuron).double()
