"""A fitted cell as a neuron of a network: no millivolts, a timestep of any length."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurodyn.biophysics.fitting.membrane import HIGHEST, moved
from neurodyn.biophysics.fitting.model import Escape
from neurodyn.biophysics.fitting.stored import read_cell
from neurodyn.errors import check
from neurodyn.learned import Learned
from neurodyn.neurons import Neuron
from neurodyn.neurons.base import Features

OVER = 0.01
"""A kernel of which less is left when the cell can fire again is left out."""
FINEST = 64
"""More parts than this a timestep is not cut into."""

Kernel = tuple[float, float]
"""A weight, in thresholds, and the share of itself that a kernel keeps per timestep."""


class Timestep(NamedTuple):
    """What a fitted cell does in a timestep of a network, potentials in thresholds."""

    neuron: Neuron
    level: float
    """The threshold in the fitted neuron's units."""
    share: float
    """Of the fitted neuron's timestep, in all Euler steps together."""
    parts: int
    """Euler steps."""
    after: float
    """Where the membrane is at the first timestep after a spike at which the cell can fire."""
    wait: int
    """Timesteps after a spike at which it cannot."""
    currents: tuple[Kernel, ...]
    thresholds: tuple[Kernel, ...]


class RecordedNeuron(Neuron):
    """A neuron whose equation was fitted to a cell:

        h   = u + x - sum_j eta_j a_j                 s   = H(h - V_th - sum_j gamma_j b_j)
        u   = after if s else F(h)
        a_j = rho_j a_j + s                           b_j = sigma_j b_j + s

    `F` is the flow of the fitted neuron over a timestep, `share` of its own timesteps, in as many
    Euler steps as keep the order of potentials; or strong inhibition would end in a spike. The
    potential is 0 at rest and 1 at the threshold. `after` is where the cell is one timestep after a
    spike: refractory time, its reset and what followed are in that number. Where a timestep is
    shorter than the refractory time, the neuron stays silent as long. `eta_j` and `gamma_j` are
    spike-triggered currents and the moving threshold; a kernel that is over when the cell can fire
    again is left out. The electrode, the noise and the low-passed current are left out: weights in
    front of the layer learn what is to come in.

    `neurodyn compare --neurons lif,cell@neurodyn.biophysics.RecordedNeuron:cell=FOLDER:dt=10` has
    the cell that `neurodyn fit-cell` wrote as a contender; `:frozen` does not learn it on.

    Args:
        features, **options: as for `Neuron`. With `learn=True` all that the cell's fit learned and
            `after` are trained; the fitted neuron is one for the layer, whatever `per` says.
        cell: a file that `Fitted.save` wrote, or a folder of `neurodyn fit-cell`; no code is run.
        dt: how many milliseconds a timestep stands for.
        share, after: as above; the cell's own unless given.
    """

    own_reset = True

    # The cell's own unless given: the name of another quantity makes the argument None by default.
    share = Learned("threshold", low=0.0)
    after = Learned("threshold")
    eta: Any = Learned(vector=True)
    rho: Any = Learned(vector=True, low=0.0, high=1.0, link="clamp")
    gamma: Any = Learned(vector=True)
    sigma: Any = Learned(vector=True, low=0.0, high=1.0, link="clamp")

    def __init__(
        self, features: Features = None, *, cell: Any, dt: float = 10.0, **options: Any
    ) -> None:
        own = cell if isinstance(cell, Timestep) else timestep(_read(cell), dt)
        membrane = copy.deepcopy(own.neuron).requires_grad_(options.get("learn", True) is True)
        self.states = (
            *membrane.states,
            *(f"a{j}" for j in range(len(own.currents))),
            *(f"b{j}" for j in range(len(own.thresholds))),
            *(["held"] if own.wait else []),
        )
        for name in ("share", "after"):
            if options.get(name) is None:
                options[name] = getattr(own, name)
        super().__init__(features, **options)
        self.level, self.parts, self.wait = own.level, own.parts, own.wait
        self.membrane = membrane.to(self.threshold.dtype)
        self.eta, self.rho = ([pair[k] for pair in own.currents] for k in (0, 1))
        self.gamma, self.sigma = ([pair[k] for pair in own.thresholds] for k in (0, 1))

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        n, K = len(self.membrane.states), len(self.eta)
        (u, *others), a = state[:n], state[n : n + K]
        b = state[n + K : n + K + len(self.gamma)]
        h, threshold = u + x, self.threshold
        for weight, trace in zip(self.eta, a, strict=True):
            h = h - weight * trace
        for weight, trace in zip(self.gamma, b, strict=True):
            threshold = threshold + weight * trace
        held = (state[-1] > 0.5).to(h.dtype) if self.wait else torch.zeros_like(h)
        s, h = self.fire((1 - held) * h, threshold)
        u, *others = self._flow(h, others)
        u = u + (s + held) * (self.after - u)
        a = tuple(keep * old + s for keep, old in zip(self.rho, a, strict=True))
        b = tuple(keep * old + s for keep, old in zip(self.sigma, b, strict=True))
        left = [(state[-1] - 1).clamp(min=0) + self.wait * s] if self.wait else []
        return (s, u, *others, *a, *b, *left)

    def _flow(self, h: Tensor, others: list[Tensor]) -> tuple[Tensor, ...]:
        """The states a timestep later, without input or spike."""
        state = ((self.level * h).clamp(max=HIGHEST), *others)
        for _ in range(self.parts):
            u, *others = moved(self.membrane, self.share / self.parts, torch.zeros_like(h), state)
            state = (u.clamp(max=HIGHEST), *others)
        return (state[0] / self.level, *state[1:])

    def extra_repr(self) -> str:
        return f"parts={self.parts}, wait={self.wait}, {super().extra_repr()}"


class CellLayer:
    """Makes `RecordedNeuron`s of one cell, from the shape of a layer: what a network takes."""

    def __init__(self, step: Timestep, options: dict[str, Any]) -> None:
        self.step, self.options = step, options

    @classmethod
    def of(cls, model: Escape, dt: float, options: dict[str, Any]) -> CellLayer:
        """From a fitted model, for timesteps of `dt` ms."""
        return cls(timestep(model, dt), options)

    def __call__(self, features: Features = None, **more: Any) -> RecordedNeuron:
        return RecordedNeuron(features, cell=self.step, **{**self.options, **more})


def timestep(model: Escape, dt: float) -> Timestep:
    """A fitted model in timesteps of `dt` ms.

    One timestep is `dt` of the cell's time. A spike at timestep 0 is followed by the refractory
    time, by the flow from the reset with the spike-triggered currents, and by the raised threshold;
    all three are the cell's own at the next timestep at which it can fire. From then on a kernel
    keeps `exp(-dt / tau)` of itself, and a current does per timestep what it does to a cell at
    rest. So the weights below say what a kernel was at the spike, had it begun there.
    """
    check("dt", dt, round(model.dt, 6))
    level, r = float(model.level), model.refractory
    wait = math.floor(r / dt + 1e-6)
    late = (wait + 1) * dt - r
    share = float(model.log_share.exp()) * dt / model.dt
    with torch.no_grad():
        currents = tuple(
            (-_course(model, 0.0, dt, only=j) / level * math.exp(r / tau), math.exp(-dt / tau))
            for j, tau in enumerate(model.currents)
            if math.exp(-late / tau) > OVER
        )
        after = _course(model, float(model.reset), late) / level
        parts, share = _euler(model.neuron, share)
    return Timestep(
        neuron=model.neuron,
        level=level,
        share=share,
        parts=parts,
        after=after + sum(w * keep**wait for w, keep in currents),
        wait=wait,
        currents=currents,
        thresholds=tuple(
            (float(v) / level * math.exp((r - dt) / tau), math.exp(-dt / tau))
            for v, tau in zip(model.v, model.thresholds, strict=True)
            if math.exp(-late / tau) > OVER
        ),
    )


def _course(model: Escape, u: float, duration: float, only: int | None = None) -> float:
    """The potential that the cell gets to without input, spike-triggered currents at their start.

    Args:
        u: where it begins.
        duration: [ms].
        only: the current that flows; all of them unless given.
    """
    share, w = model.log_share.exp(), model.w.detach()
    keep = torch.exp(-model.dt / torch.tensor(model.currents, dtype=torch.float64))
    a = torch.ones_like(w) if only is None else torch.eye(len(w), dtype=w.dtype)[only]
    others = tuple(value.to(w.dtype) for value in model.neuron.initial_state()[1:])
    state = (torch.full((1,), u, dtype=w.dtype), *others)
    for _ in range(round(duration / model.dt)):
        a = keep * a
        state = moved(model.neuron, share, -(w * a).sum()[None], state)
        state = (state[0].clamp(max=HIGHEST), *state[1:])
    return float(state[0])


def _euler(neuron: Neuron, share: float) -> tuple[int, float]:
    """In how many Euler steps the flow runs over a share of the neuron's timestep, and the share
    that they have together: a little less, so that potentials near the rest decay exactly as fast
    as by the flow. No step is so long that it turns the order of two potentials around."""
    u = torch.linspace(-HIGHEST, HIGHEST, 401, dtype=torch.float64)
    others = (value.to(u.dtype).expand_as(u) for value in neuron.initial_state()[1:])
    change = moved(neuron, 1.0, torch.zeros_like(u), (u, *others))[0] - u
    falls = -change.diff() / u.diff()
    leak, steepest = float(falls[199:201].mean()), float(falls.max())
    for parts in range(1, FINEST + 1):
        z = leak * share / parts
        each = -math.expm1(-z) / z * share / parts if z else share / parts
        if each * steepest <= 1:
            break
    return parts, parts * each


def _read(given: Any) -> Escape:
    path = Path(given) / "cell.json" if Path(given).is_dir() else Path(given)
    if not path.exists():
        raise FileNotFoundError(
            "cell: expected a file of Fitted.save, or a folder of neurodyn fit-cell, got "
            f"{given}; there is no {path} (from {Path.cwd()})"
        )
    return read_cell(path)[0].requires_grad_(False)
