"""Learned time constants: CubaLIF, MultiTimescale on top of it, and their order in a network."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.ranged import Link, Share
from neurodyn.neurons.reset import HardReset, Reset
from neurodyn.surrogate import Gaussian, Surrogate

HALF_SIGMA = 0.5 * math.sqrt(2 * math.pi)
"""The width of a Gaussian window of sigma = .5."""

Tau = float | tuple[float, float]


def _raw_of_leak(leak: Tensor) -> Tensor:
    """The inverse of `1 / (1 + softplus(raw))`."""
    above = 1 / leak - 1
    return above + torch.log(-torch.expm1(-above))


LEAK = Link(lambda raw: 1 / (1 + F.softplus(raw)), _raw_of_leak)
"""A leak by its time constant, `1 / tau`."""


class CubaLIF(Neuron):
    """Current-based leaky integrate and fire: a synaptic current and a membrane.

        i[t] = i[t-1] - i[t-1] / tau_syn + x[t]
        h[t] = u[t-1] - u[t-1] / tau_mem + i[t]

    Time constants are learned as `tau = 1 + softplus(raw)`: positive by construction and never
    below one timestep.

    Args:
        features, **options: as for `Neuron`; `per` says how many time constants a layer has.
        tau_mem: membrane time constant in timesteps, > 1; a pair `(low, high)` draws one for each
            channel or neuron, log-uniformly, so that a layer mixes fast and slow ones.
        tau_syn: synaptic time constant, likewise.
        learn: train them.
    """

    states: ClassVar[tuple[str, ...]] = ("u", "i")
    operations = (2, 2)
    links: ClassVar[dict[str, Link]] = {"raw_mem": LEAK, "raw_syn": LEAK}

    def __init__(
        self,
        features: Features = None,
        *,
        tau_mem: Tau = 10.0,
        tau_syn: Tau = 5.0,
        learn: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(features, **options)
        self.raw_mem = self.parameter(self._raw("tau_mem", tau_mem), learn=learn)
        self.raw_syn = self.parameter(self._raw("tau_syn", tau_syn), learn=learn)

    def _raw(self, name: str, tau: Tau) -> Tensor:
        """The parameter whose time constant is `tau`: the inverse of `1 + softplus`."""
        low, high = (tau, tau) if isinstance(tau, int | float) else tau
        if not 1 < low <= high:
            raise ValueError(
                f"{name}: expected a time constant above one timestep, or (low, high), got {tau}"
            )
        if low < high and self.per == "layer":
            raise ValueError(f"{name}: a spread {tau} needs per='channel' or per='neuron'")
        start = torch.full(self.threshold.shape, low, dtype=torch.float64)
        if low < high:
            start = low * (high / low) ** torch.rand(self.threshold.shape, dtype=torch.float64)
        return LEAK.raw(1 / start)

    @property
    def tau_mem(self) -> Tensor:
        """Membrane time constant now, in timesteps."""
        return 1 + F.softplus(self.raw_mem)

    @property
    def tau_syn(self) -> Tensor:
        """Synaptic time constant now, in timesteps."""
        return 1 + F.softplus(self.raw_syn)

    def set_tau_mem(self, tau: Tau) -> None:
        """Start the membrane's time constants anew, as the option of that name does."""
        with torch.no_grad():
            self.raw_mem.copy_(self._raw("tau_mem", tau))

    def integrate(self, x: Tensor, u: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
        """The charged membrane and the current."""
        i = i - i / self.tau_syn + x
        return u - u / self.tau_mem + i, i

    def step(self, x: Tensor, u: Tensor, i: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        h, i = self.integrate(x, u, i)
        return *self.fire(h), i


class MultiTimescale(CubaLIF):
    """The multi-timescale trainable neuron: time constants, adaptive threshold and reset learned.

        i[t]  = i[t-1] - i[t-1] / tau_syn + x[t]
        h[t]  = u[t-1] - u[t-1] / tau_mem + i[t]
        s[t]  = H(h[t] - th[t-1])
        th[t] = rest + (th[t-1] - rest)(1 - d) + g s[t]
        u[t]  = h[t] (1 - s[t]) + r s[t]

    The form in circulation, `th[t] = th[t-1] (1 - d) + s[t]`, lets the threshold decay to zero in
    silence; `threshold_rest=0` gives it.

    Args:
        features, tau_mem, tau_syn, learn, **options: as for `CubaLIF`. `threshold` is the
            threshold that a sequence starts from.
        jump: `g`, what a spike adds to the threshold.
        decay: `d`, the share of the threshold's excess that is gone after a step, in (0, 1);
            learned as its logit.
        threshold_rest: where the threshold returns to; `threshold` unless given.
        surrogate: `exp(-v^2 / (2 sigma^2))` with sigma = .5 unless given. A width that follows the
            timescale is `Gaussian("derived")`, two standard deviations of the charged membrane,
            which grow with `tau_mem` (our reading; see `neurodyn.neurons.window`).
        reset: to a learned value `r` that starts at 0, unless given.
    """

    states = ("u", "i", "th")
    operations = (3, 4)

    def __init__(
        self,
        features: Features = None,
        *,
        threshold: float = 1.0,
        jump: float = 1.0,
        decay: float = 0.5,
        threshold_rest: float | None = None,
        learn: bool = True,
        surrogate: Surrogate | None = None,
        reset: str | Reset | None = None,
        **options: Any,
    ) -> None:
        if options.get("learn_threshold"):
            raise ValueError("learn_threshold: here the threshold is a state; use learn_initial")
        super().__init__(
            features,
            threshold=threshold,
            learn=learn,
            surrogate=surrogate or Gaussian(HALF_SIGMA, scale=HALF_SIGMA),
            reset=HardReset(0.0, learn=learn) if reset is None else reset,
            **options,
        )
        self.jump = self.parameter(jump, learn=learn)
        self.decay = Share("decay", decay, self.threshold.shape, learn=learn)
        rest = threshold if threshold_rest is None else threshold_rest
        self.threshold_rest = self.parameter(rest, learn=False)
        nn.init.constant_(cast(Tensor, self.th_0), threshold)

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, i: Tensor, th: Tensor
    ) -> tuple[Tensor, ...]:
        h, i = self.integrate(x, u, i)
        s, u = self.fire(h, th)
        excess = (th - self.threshold_rest) * (1 - self.decay.now)
        return s, u, i, self.threshold_rest + excess + self.jump * s


def grade_timescales(network: nn.Module, low: float, high: float) -> None:
    """Early layers faster, later ones slower: sets the membranes' time constants in a network.

    The range from `low` to `high` timesteps is cut, evenly in the logarithm, into as many bands as
    there are layers of `CubaLIF` or `MultiTimescale`. The k-th of them gets the k-th band: drawn
    log-uniformly for each channel or neuron, its geometric middle for a whole layer.
    """
    layers = [part for part in network.modules() if isinstance(part, CubaLIF)]
    if not layers:
        raise ValueError("network: expected layers of CubaLIF or MultiTimescale, got none")
    if not 1 < low <= high:
        raise ValueError(f"low, high: expected 1 < low <= high, got {low} and {high}")
    edges = [low * (high / low) ** (k / len(layers)) for k in range(len(layers) + 1)]
    for layer, band in zip(layers, pairwise(edges), strict=True):
        layer.set_tau_mem(math.sqrt(band[0] * band[1]) if layer.per == "layer" else band)
