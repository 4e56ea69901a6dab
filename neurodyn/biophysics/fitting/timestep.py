"""What a fitted cell does in a timestep of a network, which may be a hundred of its own."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from neurodyn.biophysics.fitting.membrane import HIGHEST, moved
from neurodyn.biophysics.fitting.model import Escape
from neurodyn.errors import check
from neurodyn.neurons import Neuron

OVER = 0.01
"""A kernel of which less is left when the cell can fire again is left out."""
FINEST = 64
"""More parts than this a timestep is not cut into: each is code in the kernel."""
LONGEST = 1000.0
"""A longer timestep is a mistake: nothing is left of a membrane after a second [ms]."""

TIMESTEP = 10.0
"""What a timestep stands for unless given [ms]. Recipes show an image for four timesteps, and their
LIF keeps half of its potential in one. A cortical membrane keeps half for about as long: its time
constant is 10 to 20 ms."""

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


def timestep(model: Escape, dt: float) -> Timestep:
    """A fitted model in timesteps of `dt` ms.

    One timestep is `dt` of the cell's time. A spike at timestep 0 is followed by the refractory
    time, by the flow from the reset with the spike-triggered currents, and by the raised threshold;
    all three are the cell's own at the next timestep at which it can fire. From then on a kernel
    keeps `exp(-dt / tau)` of itself, and a current does per timestep what it does to a cell at
    rest. So the weights below say what a kernel was at the spike, had it begun there.
    """
    low, pace = round(model.dt, 6), float(model.log_share.exp()) / model.dt
    level, r = float(model.level), model.refractory
    if not (level > 0 and math.isfinite(pace)):
        raise ValueError(
            "cell: expected a threshold above the rest and a membrane of some time constant, got "
            f"level {level:g} and a share {pace:g} per ms"
        )
    leak, longest = _euler(model.neuron)
    check("dt", dt, low)
    check("dt", dt, low, math.floor(10 * min(FINEST * longest / pace, LONGEST)) / 10)
    share = pace * dt
    parts = max(math.ceil(share / longest), 1)
    # A little less, so that potentials near the rest decay exactly as fast as by the flow.
    z = leak * share / parts
    wait = math.floor(r / dt + 1e-6)
    late = (wait + 1) * dt - r
    with torch.no_grad():
        currents = tuple(
            (-_course(model, 0.0, dt, only=j) / level * math.exp(r / tau), math.exp(-dt / tau))
            for j, tau in enumerate(model.currents)
            if math.exp(-late / tau) > OVER
        )
        after = _course(model, float(model.reset), late) / level
    return Timestep(
        neuron=model.neuron,
        level=level,
        share=-math.expm1(-z) / z * share if z else share,
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


def in_words(step: Timestep, model: Escape, dt: float) -> str:
    """What `timestep` made of a model, in millivolts and milliseconds."""
    (rest, _), threshold = model.potentials, model.threshold
    left = sum(weight * keep**step.wait for weight, keep in step.currents)
    raised = 1 + sum(weight * keep**step.wait for weight, keep in step.thresholds)
    at, wall = (rest + (threshold - rest) * u for u in (step.after - left, raised))
    fall = _euler(model.neuron)[0] * float(model.log_share.exp())
    tau = model.dt / fall if fall > 0 else math.inf
    return (
        f"a layer of {dt:g} ms per timestep, in {step.parts} Euler steps\n"
        f"  potential 0 is the rest, {rest:.1f} mV; 1 is the threshold, {threshold:.1f} mV\n"
        f"  silent for {step.wait} timesteps after a spike; {(step.wait + 1) * dt:g} ms after it "
        f"the membrane is at {at:.1f} mV, the threshold at {wall:.1f} mV\n"
        f"  kernels kept: {len(step.currents)} of {len(model.currents)} spike-triggered currents, "
        f"{len(step.thresholds)} of {len(model.thresholds)} of the moving threshold\n"
        f"  near the rest: time constant {tau:.1f} ms, half of a potential is left after "
        f"{tau * math.log(2):.1f} ms"
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


def _euler(neuron: Neuron) -> tuple[float, float]:
    """How fast a potential near the rest falls, per timestep of the neuron, and the share of that
    timestep that one Euler step takes at most: a longer one turns the order of two potentials
    around."""
    u = torch.linspace(-HIGHEST, HIGHEST, 401, dtype=torch.float64)
    others = (value.to(u.dtype).expand_as(u) for value in neuron.initial_state()[1:])
    with torch.no_grad():
        change = moved(neuron, 1.0, torch.zeros_like(u), (u, *others))[0] - u
    falls = -change.diff() / u.diff()
    leak, steepest = float(falls[199:201].mean()), float(falls.max())
    if steepest <= max(leak, 0):
        return leak, math.inf
    # An Euler step of `each` has the decay of a flow over `z / leak`: 1 - leak each = exp(-z).
    return leak, -math.log1p(-leak / steepest) / leak if leak else 1 / steepest
