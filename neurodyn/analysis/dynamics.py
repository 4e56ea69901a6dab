"""What a neuron has learned: its map `u -> F(u)`, fixed points, their stability, its family.

All of it follows from the step with a constant input and no spike, so it works for any neuron. Of
a neuron with several states the first one is shown, with the others at their initial values; only
`families` looks at all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neurodyn.analysis.modes import eigenvalues, in_double, oscillates
from neurodyn.analysis.sampling import evenly
from neurodyn.neurons import Neuron

BY_STABILITY = {
    (True,): "non-linear leak",
    (True, False): "QIF-like",
    (False, True): "mirrored QIF",
    (True, False, True): "bistable",
    (False, True, False): "two critical",
}
"""Families of dynamics by the stability of their fixed points, from low to high potential."""


@dataclass(frozen=True)
class FixedPoint:
    """A potential that a step maps to itself: `F(u) + x = u`.

    Attributes:
        u: the potential.
        slope: `dF/du` there. Each step multiplies a small deviation by it.
    """

    u: float
    slope: float

    @property
    def stable(self) -> bool:
        """Small deviations die out: `|slope| < 1`."""
        return abs(self.slope) < 1

    @property
    def rings(self) -> bool:
        """Small deviations change sign at every step: `slope < 0`."""
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
    """The fixed points of a neuron within bounds, by sign changes and bisection.

    Two fixed points closer than the grid's spacing are missed. If every potential is one, as in IF
    without input, the list is empty.

    Args:
        neuron: a neuron with one set of parameters (`per="layer"`).
        x: constant input.
        bounds: the potentials to search. Beyond the clip of a polynomial the map is another one.
        points: size of the grid on which sign changes are looked for.
    """
    neuron = _single(neuron)

    def residual(u: Tensor) -> Tensor:
        return membrane_map(neuron, u, x).flatten() - u

    grid = torch.linspace(*bounds, points, dtype=torch.float64)
    value = residual(grid)
    # Roots on the grid itself; a whole interval of roots does not count.
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
    """The family of a neuron with one set of parameters (`per="layer"`), see `families`."""
    return families(_single(neuron), bounds)[0]


def families(
    neuron: Neuron, bounds: tuple[float, float] = (-2.0, 2.0), most: int = 1024
) -> list[str]:
    """The family of the dynamics without input, for each layer, channel or neuron.

    A neuron with several states is `"oscillating"` if two of its eigenvalues at rest are a complex
    pair that turns faster than it decays, `period < 2 pi tau`: an impulse makes it overshoot rest,
    by more than 4 % for that pair alone. For all others the family follows from `f(u) = F(u) - u`
    between the bounds, `u` the first state:

    - `"LIF-like"`: a falling straight line, within 5 % of its range;
    - `"self-exciting"`: rises everywhere;
    - `"non-linear leak"`: one root, a stable rest, but not a line;
    - `"bistable"`: three roots, the outer two stable;
    - `"QIF-like"`: two roots, a stable rest below an unstable critical potential;
    - `"mirrored QIF"`: two roots, a stable rest above the critical potential;
    - `"two critical"`: three roots, a stable rest between two critical potentials;
    - `"other"`: all else, such as no root, or a single one that is not stable.

    Args:
        neuron: a neuron of any granularity.
        bounds: the potentials to search. Two roots closer than an 800th of this range are missed.
        most: the largest number of maps. Of more, this many are taken, evenly spaced.
    """
    neuron = in_double(neuron)
    u = torch.linspace(*bounds, 801, dtype=torch.float64)
    count = neuron.threshold.numel()
    chosen = evenly(count, most)
    # A few potentials at a time: all maps of a large layer would not fit into memory.
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
    turns = torch.zeros(len(chosen), dtype=torch.bool)
    if len(neuron.states) > 1:
        turns = oscillates(eigenvalues(neuron).flatten(0, -2)[chosen]).any(-1)
    return [
        "oscillating"
        if turns[i]
        else "LIF-like"
        if lif[i]
        else "self-exciting"
        if exciting[i]
        else BY_STABILITY.get(roots, "other")
        for i, roots in enumerate(found)
    ]


def _single(neuron: Neuron) -> Neuron:
    if neuron.per != "layer":
        raise ValueError(f"neuron: expected per='layer', got per={neuron.per!r}")
    return in_double(neuron)
