"""BRF: the balanced resonate-and-fire neuron."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurodyn.learned import Learned
from neurodyn.neurons.base import Features, Neuron


class BRF(Neuron):
    """Balanced resonate and fire (Higuchi et al., ICML 2024): a damped oscillator, the complex
    membrane as two real states.

        b    = (sqrt(1 - (dt omega)^2) - 1) / dt - offset - q[t-1]
        u[t] = u[t-1] + dt (b u[t-1] - omega v[t-1]) + x[t]
        v[t] = v[t-1] + dt (omega u[t-1] + b v[t-1])
        s[t] = H(u[t] - V_th - q[t-1])
        q[t] = gamma q[t-1] + s[t]

    The first term of `b` is the damping at which Euler's rule neither grows nor dies out; `offset`
    is what is damped beyond it. A spike raises threshold and damping through `q`, the smooth reset.
    Input at the frequency `omega / 2 pi` excites it most. The default ranges are the paper's for
    SHD, and there is no reset on top, as in the paper.

    Args:
        features, **options: as for `Neuron`.
        dt: time of a step. `omega` stays below .99 / dt.
        scale_input: the input is multiplied by `dt` too, as in the paper.
    """

    omega = Learned(
        (5.0, 10.0), "angular frequency, radians per unit of time", low=0.0, high=99.0, link="clamp"
    )
    offset = Learned(
        (2.0, 3.0), "damping beyond the balance", low=0.0, link="clamp", spread="uniform"
    )
    gamma = Learned(
        0.9, "share of the refractory variable that a step keeps", low=0.0, high=1.0, learn=False
    )
    states = ("u", "v", "q")
    operations = (6, 6)
    default_reset = "none"

    def __init__(
        self,
        features: Features = None,
        *,
        dt: float = 0.01,
        scale_input: bool = False,
        omega: float | tuple[float, float] = (5.0, 10.0),
        **options: Any,
    ) -> None:
        if not dt > 0:
            raise ValueError(f"dt: expected a positive time, got {dt}")
        given: Any = omega
        if not isinstance(given, Learned):
            # At 1 / dt the damping has a slope without bound.
            start = self.declared["omega"].default if given is None else given
            given = self.declared["omega"].changed(default=start, high=0.99 / dt)
        super().__init__(features, omega=given, **options)
        self.dt, self.scale_input = float(dt), scale_input

    @property
    def tau_q(self) -> Tensor:
        """Time constant of the refractory variable, timesteps: `1 / (1 - gamma)`."""
        return 1 / (1 - self.gamma)

    def step(  # type: ignore[override]
        self, x: Tensor, u: Tensor, v: Tensor, q: Tensor
    ) -> tuple[Tensor, ...]:
        turn = self.dt * self.omega
        damping = torch.sqrt(1 - turn * turn) - 1 - self.dt * (self.offset + q)
        x = self.dt * x if self.scale_input else x
        s, after = self.fire(u + damping * u - turn * v + x, self.threshold + q)
        return s, after, v + turn * u + damping * v, self.gamma * q + s
