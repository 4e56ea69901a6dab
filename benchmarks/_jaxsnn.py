"""jaxsnn, another simulation with exact spike times: the same two layers, forward and backward."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from neurodyn.convert import Events, LIFKernel

SAMPLES, LINES, HIDDEN, OUT, UNTIL = 64, 64, 128, 10, 40.0
TAU, TAU_SYN = 10.0, 5.0  # It solves for `tau = 2 tau_syn` in closed form.


def installed() -> bool:
    return importlib.util.find_spec("jaxsnn") is not None


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of both for first spike times and their gradients, and how far they differ."""
    generator = np.random.default_rng(0)
    times = 10 * generator.random((SAMPLES, LINES))
    hidden = 0.3 * generator.standard_normal((HIDDEN, LINES)) + 0.15
    out = 0.2 * generator.standard_normal((OUT, HIDDEN)) + 0.075
    net = Events([torch.from_numpy(hidden), torch.from_numpy(out)], kernel=_kernel(), once=True)
    inputs = torch.from_numpy(times)[:, :, None]

    def forward() -> Any:
        with torch.no_grad():
            return net(inputs, UNTIL).first().numpy()

    def backward() -> Any:
        net.zero_grad()
        first = net(inputs, UNTIL).first()
        first[torch.isfinite(first)].sum().backward()
        return net.weights[0].grad.numpy()

    theirs = _theirs(times, hidden, out)
    a, b = forward(), theirs[0]()
    both = np.isfinite(a) & np.isfinite(b)
    gap = np.abs(a[both] - b[both]).max() if (np.isfinite(a) == both).all() else np.inf
    grad = np.abs(backward() - theirs[1]()).max()
    ours, other = _medians((forward, theirs[0]), rounds)
    ours_back, other_back = _medians((backward, theirs[1]), rounds)
    return {
        "spike times differ by": float(gap),
        "gradients differ by": float(grad),
        "forward": ours,
        "forward, jaxsnn": other,
        "forward and backward": ours_back,
        "forward and backward, jaxsnn": other_back,
    }


def _kernel() -> LIFKernel:
    kernel = LIFKernel(TAU, TAU_SYN)
    kernel.requires_grad_(False)
    return kernel


def _theirs(times: Any, hidden: Any, out: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    import jax
    import jax.numpy as jnp
    from jaxsnn.event.loss import first_spike
    from jaxsnn.event.modules import LIF, LIFParameters, Linear, Source
    from jaxsnn.event.topology import Topology
    from jaxsnn.event.types import Spike

    jax.config.update("jax_enable_x64", True)
    # A reset far below zero is its way to one spike per neuron.
    neuron = LIFParameters(v_reset=-1000.0, v_th=1.0, tau_syn=TAU_SYN, tau_mem=TAU)
    built = Topology(t_max=UNTIL)
    built.add(
        {
            "in": Source(LINES),
            "hidden": LIF(HIDDEN, LINES + HIDDEN, neuron),
            "out": LIF(OUT, LINES + HIDDEN + OUT, neuron),
            "first": Linear(mean=0.0, std=1.0, min_delay=0.0),
            "second": Linear(mean=0.0, std=1.0, min_delay=0.0),
        }
    )
    built.connect([("in", "first"), ("first", "hidden"), ("hidden", "second"), ("second", "out")])
    init, apply = built.done()
    # Its membrane takes in the current by 1 / tau, ours by 1 / tau_syn.
    scale = TAU / TAU_SYN
    weights = {
        **init(jax.random.PRNGKey(0)),
        "first": jnp.array(scale * hidden.T),
        "second": jnp.array(scale * out.T),
    }
    order = np.argsort(times, 1)
    zeros = jnp.zeros(times.shape)
    spikes = Spike(
        time=jnp.array(np.sort(times, 1)),
        idx=jnp.array(order),
        current=zeros,
        layer_idx=zeros.astype(int),
        internal=jnp.ones(times.shape, dtype=bool),
    )

    def times_of(first: Any, second: Any) -> Any:
        run = apply({"in": spikes}, {**weights, "first": first, "second": second})
        return jax.vmap(first_spike, in_axes=(0, None))(run["out"], OUT)

    def total(first: Any, second: Any) -> Any:
        found = times_of(first, second)
        return jnp.where(jnp.isfinite(found), found, 0.0).sum()

    forward, backward = jax.jit(times_of), jax.jit(jax.grad(total, (0, 1)))
    given = weights["first"], weights["second"]
    return (
        lambda: np.array(forward(*given)),
        lambda: np.array(jax.block_until_ready(backward(*given))[0]).T * scale,
    )


def _medians(calls: tuple[Callable[[], Any], Callable[[], Any]], rounds: int) -> list[float]:
    """Milliseconds of both, taken in turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, taken in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
    return [1e3 * statistics.median(taken) for taken in seconds]
