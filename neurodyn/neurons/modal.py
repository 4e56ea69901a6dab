"""Modal and Planar: linear dynamics in eigenvalue form, complex modes that decay and rotate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from neurodyn.declared import shallow
from neurodyn.errors import check, unknown
from neurodyn.learned import Learned
from neurodyn.neurons.base import UNKNOWN_HORIZON, Features, Neuron, Per, State
from neurodyn.neurons.basis import Clipped
from neurodyn.neurons.parallel import membrane
from neurodyn.neurons.polynomial import monomials, polynomial

SHORTEST = 6
"""The shortest horizon. Time constants start at 5 timesteps at least."""

Start = float | tuple[float, float] | Sequence[float | tuple[float, float]] | None


class Modes(Clipped):
    """Base of the neurons that are made of modes; see `Modal`."""

    tau = Learned(None, "time constant of each mode, timesteps", low=0.0, vector=True)
    period = Learned(None, "period of each mode, timesteps", low=0.0, vector=True)
    gain = Learned(None, "size of the input to each mode", vector=True)
    phase = Learned(None, "angle of the input to each mode, radians", vector=True)
    a = Learned(None, "real part of what a spike takes from each mode", vector=True)
    b = Learned(None, "minus the imaginary part of it", vector=True)
    c = Learned(None, "coefficients of the powers of its state", vector=True, scale=0.01)
    own_reset = True
    modes: int = 1

    def __init__(
        self,
        features: Features = None,
        *,
        horizon: float | None = None,
        oscillate: bool = True,
        feedback: Literal["none", "soft"] = "none",
        degree: int = 1,
        coupling: Literal["separate", "full"] = "separate",
        tau: Start = None,
        period: Start = None,
        per: Per | None = None,
        **options: Any,
    ) -> None:
        modes = self.modes
        if horizon is not None:
            check("horizon", horizon, SHORTEST)
        if feedback not in ("none", "soft"):
            raise unknown("feedback", feedback, ("none", "soft"))
        if not isinstance(degree, int) or degree < 1:
            raise ValueError(f"degree: expected a whole number, at least 1, got {degree}")
        if coupling not in ("separate", "full"):
            raise unknown("coupling", coupling, ("separate", "full"))
        if period is not None and not oscillate:
            raise ValueError("period: modes that do not oscillate have none, expected None")
        self.states = tuple(f"{part}{j}" for j in range(modes) for part in "uv"[: 1 + oscillate])
        self.feedback, self.degree = feedback, degree
        super().__init__(features, per=per or ("neuron" if features else "layer"), **options)
        self.oscillate, self.coupling = oscillate, coupling
        self.terms = len(monomials(1 + (oscillate and coupling == "full"), degree))
        self._tau, self._period = tau, period
        self._own_horizon = horizon is not None
        self._spread(UNKNOWN_HORIZON if horizon is None else horizon)
        if feedback == "soft":
            self.a = [1 / modes] * modes
            if oscillate:
                self.b = [0.0] * modes
        if self.terms:
            self.c = [0.0] * (len(self.states) * self.terms)
        self.operations = self._operations()  # type: ignore[misc]

    def set_horizon(self, steps: int) -> None:
        if not self._own_horizon:
            self._spread(max(steps, SHORTEST))

    def _spread(self, horizon: float) -> None:
        """Start the modes: time constants, periods and gains."""
        modes, self.horizon = self.modes, float(horizon)
        tau, period = self._tau, self._period
        self.tau = _by_mode("tau", (5.0, self.horizon) if tau is None else tau, modes)
        if self.oscillate:
            spread = (6.0, 2 * self.horizon)
            self.period = _by_mode("period", spread if period is None else period, modes)
        several = self.declared["gain"].changed(learn=modes > 1)
        start = [torch.sqrt(-torch.expm1(-2 / t.detach().double()) / modes) for t in self.tau]
        self.start("gain", start, several.changed(default=start))
        if self.oscillate:
            self.start("phase", [0.0] * modes, several.changed(default=[0.0] * modes))

    def _operations(self) -> tuple[int, int]:
        parts = 1 + self.oscillate
        # One mode has no phase: its imaginary part gets no input.
        inputs = parts if self.modes > 1 else 1
        products, sums = parts * parts + inputs, parts * (parts - 1) + inputs
        if self.feedback == "soft":
            products, sums = products + parts, sums + parts
        products, sums = self.modes * products, self.modes * (sums + 1) - 1
        if self.terms:
            # Besides a product and a sum for each term, each state's polynomial has a product with
            # a square, and each pair of coupled states one more square.
            pairs = self.modes if self.oscillate and self.coupling == "full" else 0
            terms = len(self.states) * self.terms
            products, sums = products + terms + len(self.states) + pairs, sums + terms
        return products, sums

    def rows(self) -> list[Tensor]:
        """For each mode, what its state and its input are multiplied by: real part, then imaginary
        part if it oscillates. Behind those of all modes, the coefficients of the powers."""
        found = []
        for j, tau in enumerate(self.tau):
            r = torch.exp(-1 / tau)
            if not self.oscillate:
                found += [r, self.gain[j]]
                continue
            turn, phase = 2 * math.pi / self.period[j], self.phase[j]
            found += [r * torch.cos(turn), r * torch.sin(turn)]
            found += [self.gain[j] * torch.cos(phase), self.gain[j] * torch.sin(phase)]
        return [*found, *self.c] if self.terms else found

    def cell(self) -> Neuron:
        # One value per neuron is computed once here, and not at every step.
        own = super().cell()
        once = self.per == "layer" or self.backend == "parallel"
        if once or torch.compiler.is_compiling():
            return own
        twin = shallow(own)
        held = {f"row{i}": row for i, row in enumerate(self.rows())}
        twin.__dict__["_buffers"] = {**own._buffers, **held}
        return twin

    @property
    def nonlinear(self) -> str | None:
        if self.feedback != "none":
            return f"{type(self).__name__} with feedback={self.feedback!r}"
        if self.degree > 1:
            return f"{type(self).__name__} with degree={self.degree}"
        own = type(self).step is not Modes.step
        return f"{type(self).__name__} with a step of its own" if own else None

    def over_time(self, inputs: State, state: State) -> tuple[Tensor, ...]:
        h, final = membrane(inputs[0], state, self.rows(), self.modes)
        s, _ = self.fire(sum(inputs[1:], h))
        return s, *final

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        size = len(self.states) * (2 + self.terms)
        known = "row0" in self._buffers
        rows = [getattr(self, f"row{i}") for i in range(size)] if known else self.rows()
        z = self._charged(x, state, rows)
        h = z[0]
        for u in z[1 + self.oscillate :: 1 + self.oscillate]:
            h = h + u
        s, _ = self.fire(h)
        return s, *(z if self.feedback == "none" else self._reset(z, s))

    def _charged(self, x: Tensor, state: State, rows: list[Tensor]) -> list[Tensor]:
        z = []
        for j in range(self.modes):
            if not self.oscillate:
                r, p = rows[2 * j : 2 * j + 2]
                z.append(r * state[j] + p * x)
                continue
            (u, v), (c, d, p, q) = state[2 * j : 2 * j + 2], rows[4 * j : 4 * j + 4]
            z += [c * u - d * v + p * x, d * u + c * v + q * x]
        if not self.terms:
            return z
        powers = self._powers(state, rows[2 * len(state) :])
        return [u + more for u, more in zip(z, powers, strict=True)]

    def _powers(self, state: State, c: list[Tensor]) -> list[Tensor]:
        """What each state gains from the powers of its own, or of both states of its mode."""
        clipped, parts, n = [self.clipped(u) for u in state], 1 + self.oscillate, self.terms
        found = []
        for i in range(len(state)):
            mode = i - i % parts
            of = clipped[mode : mode + parts] if self.coupling == "full" else clipped[i : i + 1]
            found.append(polynomial(c[i * n : (i + 1) * n], of, self.degree))
        return found

    def _reset(self, z: list[Tensor], s: Tensor) -> list[Tensor]:
        if not self.oscillate:
            return [u - self.a[j] * s for j, u in enumerate(z)]
        after = []
        for j in range(self.modes):
            after += [z[2 * j] - self.a[j] * s, z[2 * j + 1] + self.b[j] * s]
        return after

    def extra_repr(self) -> str:
        if self.degree == 1:
            return Neuron.extra_repr(self)
        return f"degree={self.degree}, coupling={self.coupling}, {super().extra_repr()}"


class Modal(Modes):
    """A membrane that is the sum of complex modes, each a damped oscillation:

        z_j[t] = exp(-1/tau_j + 2 pi i / period_j) z_j[t-1] + gain_j exp(i phase_j) x[t]
        h[t]   = sum_j Re z_j[t]
        s[t]   = H(h[t] - V_th)
        z_j[t] = z_j[t] - (a_j - i b_j) s[t]                                      feedback="soft"

    Every linear neuron with distinct eigenvalues is of this form. What matters is where the modes
    start: time constants and periods are drawn for each neuron, over the time that has to be
    remembered, and learned from there as logarithms. The gain starts at `sqrt(1 - r^2)`, divided by
    `sqrt(modes)`, with `r = exp(-1/tau)`: white input of variance 1 then keeps `sum_j E |z_j|^2` at
    1, however long the memory. Gain and phase are learned if there are several modes; with one, the
    weights do that.

    With a `degree` above 1, each state also gains powers of where it was: a polynomial

        Re z_j[t] += P_j(clip(Re z_j[t-1]))       Im z_j[t] += Q_j(clip(Im z_j[t-1]))
        Re z_j[t] += P_j(clip(Re z_j[t-1]), clip(Im z_j[t-1])), Im likewise         coupling="full"

    of the powers 2 to `degree`. The coefficients `c` start at 0, where the neuron is the linear
    one, and are learned at a hundredth of the learning rate.

    Related neurons: resonate-and-fire (Izhikevich 2001) is one mode; BRF adds a refractory variable
    to it. S5-RF and SiLIF are one mode without and with feedback, PMSN is several.

    Args:
        features, **options: as for `Neuron`, but `per` is "neuron" if the features are given.
        modes: number of modes `k`.
        horizon: timesteps that have to be remembered. Sets the ranges of `tau` and `period`. Unless
            given, a recipe sets it to the length of the sequences (`neurodyn.neurons.set_horizon`);
            until then it is 100.
        oscillate: False for real modes, which decay without rotation: leaky integrators.
        feedback: "none" (the spike leaves the membrane alone: linear dynamics, at degree 1) or
            "soft".
        degree: of the polynomial, >= 1; 1 for linear dynamics.
        coupling: "separate" (powers of each state alone, `degree - 1` coefficients per state) or
            "full" (all products of powers of the two states of a mode; 7 per state at degree 3).
        clip, clip_range: of the polynomial's argument, as for `LNM`.
        tau: time constants in timesteps; (5, horizon) unless given. A list has one entry per mode.
        period: periods in timesteps; (6, 2 horizon) unless given. A list has one entry per mode.
    """

    def __init__(self, features: Features = None, *, modes: int = 2, **options: Any) -> None:
        check("modes", modes, 1)
        self.modes = modes
        super().__init__(features, **options)


class Planar(Modes):
    """One complex mode: a neuron whose two states turn in a plane.

        z[t] = exp(-1/tau + 2 pi i / period) z[t-1] + gain x[t]
        s[t] = H(Re z[t] - V_th)
        z[t] = z[t] - (a - i b) s[t]                                              feedback="soft"

    It is `Modal` with one mode, which leaves gain and phase of the input to the weights.

    Args:
        features, horizon, oscillate, feedback, degree, coupling, clip, clip_range, tau, period,
            **options: as for `Modal`.
    """


def _by_mode(name: str, given: Any, modes: int) -> list[Any]:
    """A start for each mode, from one for all or a list."""
    if not isinstance(given, list):
        return [given] * modes
    if len(given) != modes:
        raise ValueError(f"{name}: expected one start for each of {modes} modes, got {given}")
    return given
