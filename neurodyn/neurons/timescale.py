"""Learned time constants: CubaLIF, MultiTimescale, and their order in a network."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from neurodyn.learned import Learned
from neurodyn.neurons.base import Features, Neuron
from neurodyn.surrogate import Gaussian

HALF_SIGMA = 0.5 * math.sqrt(2 * math.pi)
"""The width of a Gaussian window of sigma = .5."""


class CurrentBased(Neuron):
    """Base of the neurons with a synaptic current and a membrane, whose time constants are learned
    as `tau = 1 + softplus(raw)`: positive by construction and never below one timestep. A pair
    `(low, high)` draws one for each channel or neuron, log-uniformly, so that a layer mixes fast
    and slow ones."""

    tau_mem = Learned(10.0, "membrane time constant, timesteps", low=1.0, inverse=True)
    tau_syn = Learned(5.0, "synaptic time constant, timesteps", low=1.0, inverse=True)
    states: tuple[str, ...] = ("u", "i")

    def integrate(self, x: Tensor, u: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
        """The charged membrane and the current."""
        i = i - i / self.tau_syn + x
        return u - u / self.tau_mem + i, i


class CubaLIF(CurrentBased):
    """Current-based leaky integrate and fire:

        i[t] = i[t-1] - i[t-1] / tau_syn + x[t]
        h[t] = u[t-1] - u[t-1] / tau_mem + i[t]

    Args:
        features, **options: as for `Neuron`.
        tau_mem: membrane time constant in timesteps, > 1, learned; a pair `(low, high)` draws one
            for each channel or neuron, log-uniformly.
        tau_syn: synaptic time constant, likewise.
    """

    operations = (2, 2)

    def step(self, x: Tensor, u: Tensor, i: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        h, i = self.integrate(x, u, i)
        return *self.fire(h), i


class MultiTimescale(CurrentBased):
    """The multi-timescale trainable neuron: time constants, adaptive threshold and reset learned.

        i[t]  = i[t-1] - i[t-1] / tau_syn + x[t]
        h[t]  = u[t-1] - u[t-1] / tau_mem + i[t]
        s[t]  = H(h[t] - th[t-1])
        th[t] = rest + (th[t-1] - rest)(1 - d) + g s[t]
        u[t]  = h[t] (1 - s[t]) + r s[t]

    The form in circulation, `th[t] = th[t-1] (1 - d) + s[t]`, lets the threshold decay to zero in
    silence; `threshold_rest=0` gives it. `threshold` is the one that a sequence starts from. The
    reset is to a learned value `r` that starts at 0, unless given.

    The window is `exp(-v^2 / (2 sigma^2))` with sigma = .5 unless given. One that follows the
    timescale is `Gaussian("derived")`, two standard deviations of the charged membrane, which grow
    with `tau_mem` (our reading; see `neurodyn.neurons.window`).

    Args:
        features, tau_mem, tau_syn, **options: as for `CubaLIF`.
    """

    jump = Learned(1.0, "`g`, what a spike adds to the threshold")
    decay = Learned(
        0.5, "`d`, share of the threshold's excess that is gone after a step", low=0.0, high=1.0
    )
    threshold_rest = Learned("threshold", "where the threshold returns to", learn=False)
    states = ("u", "i", "th")
    initial = {"th": "threshold"}  # noqa: RUF012
    operations = (3, 4)
    default_surrogate = partial(Gaussian, HALF_SIGMA, scale=HALF_SIGMA)
    default_reset = "learned"

    def __init__(self, features: Features = None, **options: Any) -> None:
        if options.get("learn_threshold"):
            raise ValueError("learn_threshold: here the threshold is a state; use learn_initial")
        super().__init__(features, **options)

    @property
    def tau_th(self) -> Tensor:
        """Time constant of the threshold, timesteps: `1 / d`."""
        return 1 / self.decay

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, i: Tensor, th: Tensor
    ) -> tuple[Tensor, ...]:
        h, i = self.integrate(x, u, i)
        s, u = self.fire(h, th)
        excess = (th - self.threshold_rest) * (1 - self.decay)
        return s, u, i, self.threshold_rest + excess + self.jump * s


def grade_timescales(network: nn.Module, low: float, high: float) -> None:
    """Early layers faster, later ones slower: sets the membranes' time constants in a network.

    The range from `low` to `high` timesteps is cut, evenly in the logarithm, into as many bands as
    there are layers of `CubaLIF` or `MultiTimescale`. The k-th of them gets the k-th band: drawn
    log-uniformly for each channel or neuron, its geometric middle for a whole layer.
    """
    layers = [part for part in network.modules() if isinstance(part, CurrentBased)]
    if not layers:
        raise ValueError("network: expected layers of CubaLIF or MultiTimescale, got none")
    if not 1 < low <= high:
        raise ValueError(f"low, high: expected 1 < low <= high, got {low} and {high}")
    edges = [low * (high / low) ** (k / len(layers)) for k in range(len(layers) + 1)]
    for layer, band in zip(layers, pairwise(edges), strict=True):
        layer.tau_mem = band
