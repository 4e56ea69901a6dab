"""Learned membranes: a function of the potential in a basis of one's choice.

`LNM`'s basis are the powers; here are the others.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from neurodyn.errors import unknown
from neurodyn.learned import Learned
from neurodyn.neurons.base import Features, Neuron
from neurodyn.neurons.polynomial import horner

Clip = Literal["hard", "smooth", "none"]


class Clipped(Neuron):
    """Base of neurons with a function of a clipped state.

    Args:
        features, **options: as for `Neuron`.
        clip: `"hard"`, `"smooth"` (`k tanh(u / k)`) or `"none"`.
        clip_range: `k`, in units of the membrane potential; two default thresholds.
    """

    def __init__(
        self,
        features: Features = None,
        *,
        clip: Clip = "hard",
        clip_range: float = 2.0,
        **options: Any,
    ) -> None:
        super().__init__(features, **options)
        if clip not in ("hard", "smooth", "none"):
            raise unknown("clip", clip, ("hard", "smooth", "none"))
        if clip_range <= 0:
            raise ValueError(f"clip_range: expected a positive potential, got {clip_range}")
        self.clip, self.clip_range = clip, float(clip_range)

    def clipped(self, u: Tensor) -> Tensor:
        """The argument of the learned function."""
        if self.clip == "hard":
            return u.clamp(-self.clip_range, self.clip_range)
        if self.clip == "smooth":
            return self.clip_range * torch.tanh(u / self.clip_range)
        return u

    def extra_repr(self) -> str:
        return f"clip={self.clip}, {super().extra_repr()}"


class LearnedMembrane(Clipped):
    """Base of neurons whose dynamics are a learned function `f`, their `change`:

        h[t] = u[t-1] + f(v) + x[t]        v = clip(u[t-1])

    Args:
        features, clip, clip_range, **options: as for `Clipped`; `per` says how many functions a
            layer has.
    """

    def change(self, v: Tensor) -> Tensor:
        """`f(v)`: what the membrane gains per step without input."""
        raise NotImplementedError(f"{type(self).__name__} does not define its change")

    def step(self, x: Tensor, u: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self.fire(u + self.change(self.clipped(u)) + x)


class Rational(LearnedMembrane):
    """A quotient of polynomials:

        f(v) = (c0 + c1 v + ... + cd v^d) / (1 + bend v^2)

    The denominator has no root, by construction. The start is LIF, `f(v) = -v / tau`, from a
    denominator that is not constant, so that it learns from the first step on. The form is ours.

    Args:
        features, **options: as for `LearnedMembrane`. At degree 3 the function grows like a line,
            and the clip is not needed.
        degree: of the numerator, >= 3.
        tau: time constant of the LIF to start from, in timesteps.
    """

    bend = Learned(0.25, "curvature of the denominator", low=0.0)
    c: Any = Learned(vector=True)

    def __init__(
        self, features: Features = None, *, degree: int = 3, tau: float = 2.0, **options: Any
    ) -> None:
        super().__init__(features, **options)
        if degree < 3:
            raise ValueError(f"degree: expected at least 3, got {degree}")
        _check_tau(tau)
        start = self.bend.detach()
        self.c = [0.0, -1 / tau, 0.0, -start / tau, *[0.0] * (degree - 3)]

    def change(self, v: Tensor) -> Tensor:
        return horner(self.c, v) / (1 + self.bend * v * v)


class Spline(LearnedMembrane):
    """A spline on a fixed, even grid over the clip's range, its heights learned:

        f(v) = sum_i y[i] B((v - g[i]) / d)

    `B` is the hat `max(0, 1 - |z|)` (order 1, `y` are the values on the grid) or the cubic
    B-spline (order 3, twice differentiable, a grid point more at either end). Each height acts on
    its neighbourhood alone. The start is LIF, which both represent exactly.

    Args:
        features, **options: as for `LearnedMembrane`; the clip cannot be `"none"`, as the function
            ends where the grid ends.
        points: of the grid within the range, >= 2.
        order: 1 or 3.
        tau: time constant of the LIF to start from, in timesteps.
    """

    y: Any = Learned(vector=True)

    def __init__(
        self,
        features: Features = None,
        *,
        points: int = 9,
        order: Literal[1, 3] = 1,
        tau: float = 2.0,
        **options: Any,
    ) -> None:
        super().__init__(features, **options)
        if self.clip == "none":
            raise ValueError("clip: a spline ends with its grid, expected 'hard' or 'smooth'")
        if points < 2:
            raise ValueError(f"points: expected at least 2, got {points}")
        if order not in (1, 3):
            raise ValueError(f"order: expected 1 or 3, got {order}")
        _check_tau(tau)
        self.order = order
        if self.clip == "hard":
            self.operations = (order, order + 1)  # type: ignore[misc]
        self.spacing = 2 * self.clip_range / (points - 1)
        beyond = order // 2
        self.grid = [i * self.spacing - self.clip_range for i in range(-beyond, points + beyond)]
        self.y = [-g / tau for g in self.grid]

    def change(self, v: Tensor) -> Tensor:
        total = torch.zeros_like(v)
        for y, g in zip(self.y, self.grid, strict=True):
            total = total + y * self._bump((v - g).abs() / self.spacing)
        return total

    def _bump(self, z: Tensor) -> Tensor:
        near = (1 - z).clamp(min=0)
        if self.order == 1:
            return near
        far = (2 - z).clamp(min=0)
        return (far * far * far - 4 * near * near * near) / 6


class TanhNet(LearnedMembrane):
    """A small network of one hidden layer beside a line:

        f(v) = c0 + c1 v + sum_k w[k] tanh(a[k] v + b[k])

    The start is LIF, `f(v) = -v / tau`: the output weights `w` are 0 and the units' steps lie
    evenly over the clip's range.

    Args:
        features, **options: as for `LearnedMembrane`.
        units: number of hidden units, >= 1.
        tau: time constant of the LIF to start from, in timesteps.
    """

    c: Any = Learned(vector=True)
    w: Any = Learned(vector=True)
    a: Any = Learned(vector=True)
    b: Any = Learned(vector=True)

    def __init__(
        self, features: Features = None, *, units: int = 4, tau: float = 2.0, **options: Any
    ) -> None:
        super().__init__(features, **options)
        if units < 1:
            raise ValueError(f"units: expected at least 1, got {units}")
        _check_tau(tau)
        centres = [self.clip_range * ((2 * k + 1) / units - 1) for k in range(units)]
        slope = units / self.clip_range
        self.c = [0.0, -1 / tau]
        self.w = [0.0] * units
        self.a = [slope] * units
        self.b = [-slope * centre for centre in centres]

    def change(self, v: Tensor) -> Tensor:
        total = horner(self.c, v)
        for w, a, b in zip(self.w, self.a, self.b, strict=True):
            total = total + w * torch.tanh(a * v + b)
        return total


def _check_tau(tau: float) -> None:
    if tau < 1:
        raise ValueError(f"tau: expected at least one timestep, got {tau}")
