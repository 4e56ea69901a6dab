"""LNM: learnable neuron models, a polynomial membrane whose coefficients are learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from neurodyn.errors import unknown
from neurodyn.learned import Learned
from neurodyn.neurons.base import UNKNOWN_HORIZON, Features
from neurodyn.neurons.basis import LearnedMembrane
from neurodyn.neurons.polynomial import horner
from neurodyn.neurons.window import polynomial_variance

QIF_START = (0.0, -0.125, 0.25)
"""`(dt/tau) c` of the QIF with a = .25, u1 = 0, u2 = .5."""


class LNM(LearnedMembrane):
    """Learnable neuron model (Jahns, Moreno & Kinsy, arXiv:2510.07341):

        v    = clip(u[t-1])
        h[t] = u[t-1] + (1/tau) f(v) + x[t]       f(v) = c0 + c1 v + ... + cd v^d    form="euler"
        h[t] = F(v) + x[t]                        F(v) = c0 + c1 v + ... + cd v^d    form="absorbed"

    The polynomial is evaluated by Horner's rule and its coefficients `c[k]` are learned with the
    weights. `f(u) = -u` is LIF: `LNM(degree=1, clip="none")` equals `LIF(tau=tau)` until it learns.

    Known from the paper: the polynomial, Horner, degree 3, one set per layer, a clipped argument,
    the hard reset. Our reading, and so options: the scaling 1/tau, the clip's range, the start.

    Args:
        features, **options: as for `Neuron`; `per` sets how many polynomials a layer has.
        degree: of the polynomial, >= 1.
        form: `"euler"` keeps an unclipped identity path (gradient 1 through time);
            `"absorbed"` bounds the whole recurrent term.
        clip: `"hard"`, `"smooth"` (`k tanh(u / k)`) or `"none"`. Unclipped, a positive cubic
            coefficient diverges and a positive square one turns inhibition into spikes.
        clip_range: `k`, in units of the membrane potential; two default thresholds.
        start: `"lif"`, `"qif"` (degree >= 2: a = .25, u1 = 0, u2 = .5), `"spread"`, or the
            coefficients `(c0, ..., cd)` themselves. `"spread"` is LIF whose time constant differs
            between neurons (with `per="neuron"`): uniformly in the logarithm, from `tau` to
            `horizon`. Its input is multiplied by `gain = sqrt(1 - (1 - 1/tau)^2)`: white input of
            variance 1 gives every leak a membrane of variance 1. A hard reset forgets what a long
            time constant is there for: use `reset="none"`. On digits shown pixel by pixel, the
            spread gains 6 points over `"lif"` without a reset, and loses 4 with a hard one:
            `neurodyn compare --neurons lnm{,:start=spread}{,:reset=none}`.
        horizon: timesteps that have to be remembered, for `"spread"` if `tau` is a number; as for
            `Modal`, the length of the sequences unless given.
    """

    tau = Learned(
        2.0,
        "time constant of the Euler step, timesteps; `c` absorbs it",
        low=0.0,
        learn=False,
        inverse=True,
    )
    c: Any = Learned(vector=True)
    gain: Tensor

    def __init__(
        self,
        features: Features = None,
        *,
        degree: int = 3,
        form: Literal["euler", "absorbed"] = "euler",
        start: str | Sequence[float] = "lif",
        horizon: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(features, **options)
        if not isinstance(degree, int) or degree < 1:
            raise ValueError(f"degree: expected a whole number, at least 1, got {degree}")
        if form not in ("euler", "absorbed"):
            raise unknown("form", form, ("euler", "absorbed"))
        self.degree, self.form, self.spread = degree, form, start == "spread"
        if self.clip != "smooth":
            self.operations = (degree + self.spread, degree)  # type: ignore[misc]
        self._begun, self._own_horizon = start, horizon is not None
        self._tau = options.get("tau", self.declared["tau"].default)
        self._begin(UNKNOWN_HORIZON if horizon is None else horizon)

    def set_horizon(self, steps: int) -> None:
        if self.spread and not self._own_horizon:
            tau = self._tau if isinstance(self._tau, int | float) else 0.0
            self._begin(max(steps, tau))

    def _begin(self, horizon: float) -> None:
        if self.spread and isinstance(self._tau, int | float):
            self.tau = (self._tau, horizon)  # type: ignore[assignment]
        rate = 1 / self.tau.detach().double()
        self.c = self._start(self._begun, rate)
        if self.spread:
            self.start("gain", torch.sqrt(rate * (2 - rate)), Learned(low=0.0, learn=False))

    def _start(self, start: str | Sequence[float], rate: Tensor) -> list[Any]:
        """The coefficients to start from, in this neuron's form."""
        if not isinstance(start, str):
            if len(start) != self.degree + 1:
                raise ValueError(
                    f"start: expected {self.degree + 1} coefficients c0..c{self.degree}, "
                    f"got {len(start)}"
                )
            return [float(value) for value in start]
        if start not in ("lif", "qif", "spread"):
            raise unknown("start", start, ("lif", "qif", "spread"))
        if start == "qif" and self.degree < 2:
            raise ValueError(f"start: 'qif' needs degree >= 2, got {self.degree}")
        change: list[Any] = list(QIF_START) if start == "qif" else [0.0, -rate]
        change += [0.0] * (self.degree + 1 - len(change))
        if self.form == "euler":
            return [value / rate for value in change]
        return [value + (k == 1) for k, value in enumerate(change)]

    @property
    def rate(self) -> Tensor:
        """What the Euler step multiplies by, `1 / tau`."""
        return 1 / self.tau

    def change(self, v: Tensor) -> Tensor:
        return self.rate * horner(self.c, v)

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        if self.spread:
            x = self.gain * x
        if self.form == "absorbed":
            return self.fire(horner(self.c, self.clipped(u)) + x)
        return super().step(x, u)

    def map_coefficients(self) -> list[Tensor]:
        """`d0..dd` of the map `u -> d0 + d1 u + ... + dd u^d` of a step without input or clip."""
        if self.form == "absorbed":
            return list(self.c)
        return [self.rate * c + (k == 1) for k, c in enumerate(self.c)]

    def variance(self, *, with_reset: bool = False) -> Tensor:
        """`V_th^2 + Var[F(U)]`, `U ~ N(0, V_th^2)`; for degree 3 that is

        `s^2 + d1^2 s^2 + 2 d2^2 s^4 + 6 d1 d3 s^4 + 15 d3^2 s^6` with `s = V_th`. With a clip,
        which the closed form leaves out, it is integrated numerically. The paper has no analytic
        window; this one is our extension.
        """
        if with_reset or self.clip != "none":
            return super().variance(with_reset=with_reset)
        gained = self.gain * self.threshold if self.spread else self.threshold
        return gained**2 + polynomial_variance(self.map_coefficients(), self.threshold)

    def extra_repr(self) -> str:
        return f"degree={self.degree}, form={self.form}, {super().extra_repr()}"
