"""Jaxley: the same cell of its own channels, and of one that it does not have."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks._measure import Now

TRAINED = {
    "gNa": "Na_gNa",
    "gK": "K_gK",
    "gM": "Km_gKm",
    "gL": "Leak_gLeak",
    "gh": "Sag_gh",
    "EL": "Leak_eLeak",
    "VT": "vt",
    "taumax": "Km_taumax",
}
"""What gradients are taken for: all that a `Pospischil` learns except its area, and their names in
Jaxley."""


def installed() -> bool:
    return importlib.util.find_spec("jaxley") is not None


def load(double: bool = True) -> Any:
    """`Pospischil` with its defaults as a compartment of Jaxley. Whether JAX computes in double
    precision is a setting of the process, which this makes."""
    import jax

    jax.config.update("jax_enable_x64", double)
    import jaxley
    from jaxley.channels import K, Km, Leak, Na

    cell = jaxley.Compartment()
    for channel in (Na(), K(), Km(), Leak(), _sag()):
        cell.insert(channel)
    size = np.sqrt(3100 / np.pi)  # um, for an area of 3.1e-5 cm2
    given = {
        "length": size,
        "radius": size / 2,
        "Na_gNa": 0.065,
        "K_gK": 0.023,
        "Km_gKm": 4e-5,
        "Leak_gLeak": 1.05e-4,
        "Leak_eLeak": -72.5,
        "vt": -59.75,
        "Km_taumax": 500.0,
        "v": -70.0,
    }
    for name, value in given.items():
        cell.set(name, value)
    cell.init_states()
    # Jaxley takes the goal and the time constant of this gate for an opening and a closing rate.
    cell.set("Km_p", 1 / (1 + np.exp(3.5)))
    cell.record("v", verbose=False)
    for name in TRAINED.values():
        cell.make_trainable(name, verbose=False)
    return cell


def _sag() -> Any:
    """The channel of the sag current, written as those of Jaxley are."""
    import jax.numpy as jnp
    from jaxley.channels import Channel
    from jaxley.solver_gate import solve_gate_exponential

    class Sag(Channel):
        def __init__(self) -> None:
            self.current_is_in_mA_per_cm2 = True
            super().__init__("Sag")
            self.channel_params = {"Sag_gh": 2e-5}
            self.channel_states = {"Sag_q": 0.2}
            self.current_name = "i_Sag"

        @staticmethod
        def rates(v: Any) -> Any:
            return 0.00643 * (v + 154.9) / jnp.expm1((v + 154.9) / 11.9), 0.193 * jnp.exp(v / 33.1)

        def update_states(self, states: Any, dt: Any, v: Any, params: Any) -> Any:
            return {"Sag_q": solve_gate_exponential(states["Sag_q"], dt, *self.rates(v))}

        def compute_current(self, states: Any, v: Any, params: Any) -> Any:
            return params["Sag_gh"] * states["Sag_q"] * (v + 45)

        def init_state(self, states: Any, v: Any, params: Any, delta_t: Any) -> Any:
            opening, closing = self.rates(v)
            return {"Sag_q": opening / (opening + closing)}

    return Sag()


def compile_both(
    cell: Any, current: Any, dt: float, clock: Now = time.perf_counter
) -> dict[str, Any]:
    """Functions that simulate traces, and take the gradient of their mean, and the seconds that it
    took to compile each. Jaxley's defaults: implicit Euler for the potential.

    Args:
        cell: of `load`.
        current: [nA], `(T, traces)`; a single trace is simulated without `vmap`.
        dt: time step [ms].
        clock: of the seconds.
    """
    import jax
    import jaxley

    parameters = cell.get_parameters()
    current = jax.numpy.asarray(current).T

    def one(values: Any, trace: Any) -> Any:
        stimuli = cell.data_stimulate(trace)
        V = jaxley.integrate(cell, params=values, data_stimuli=stimuli, delta_t=dt)
        return V[0, 1:]  # The first entry is the state before the first step.

    def all_of(values: Any, traces: Any) -> Any:
        if len(traces) == 1:
            return one(values, traces[0])[None]
        return jax.vmap(one, in_axes=(None, 0))(values, traces)

    def mean(values: Any, traces: Any) -> Any:
        return all_of(values, traces).mean()

    found: dict[str, Any] = {}
    for name, function in (("forward", all_of), ("gradient", jax.grad(mean))):
        started = clock()
        compiled = jax.jit(function).lower(parameters, current).compile()
        found[f"{name} compiled"] = clock() - started

        def call(compiled: Callable[..., Any] = compiled) -> Any:
            return jax.block_until_ready(compiled(parameters, current))

        found[name] = call
    return found
