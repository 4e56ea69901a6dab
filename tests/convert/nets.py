"""Random networks and spike trains, and a check of a simulation that shares no code with it."""

import math

import numpy as np
import torch

from neurodyn.convert import Events, LIFKernel, NLIFKernel, ReLUKernel

KERNELS = {
    "LIF": lambda: LIFKernel(10.0, 4.0),
    "LIF, slow synapse": lambda: LIFKernel(3.0, 9.0),
    "LIF, equal rates": lambda: LIFKernel(5.0, 5.0),
    "nLIF": lambda: NLIFKernel(4.0),
    "ReLU": lambda: ReLUKernel(),
}


def spikes(lines, seed, each=6, span=40.0):
    """Random trains, `(lines, each)`."""
    generator = torch.Generator().manual_seed(seed)
    times = torch.rand(lines, each, generator=generator, dtype=torch.float64) * span
    return times.sort(-1).values


def network(kind, seed=0, sizes=(6, 5, 4, 3), **options):
    """A random network, and until when to run it."""
    endless = kind == "ReLU"
    options.setdefault("spread", {"LIF": 6.0, "nLIF": 3.0, "ReLU": 1.0}.get(kind, 9.0))
    net = Events.random(sizes, KERNELS[kind](), seed=seed, **options)
    return net, (12.0 if endless else 60.0)


def wired(seed=0):
    """A recurrent network with delays."""
    g = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    return Events(
        [2 * random(5, 6) - 0.3, 2 * random(4, 5) - 0.3],
        [0.8 + random(5), 0.8 + random(4)],
        [LIFKernel(8.0, 3.0), NLIFKernel(2.0)],
        delays=[5 * random(5, 6), 3 * random(4, 5)],
        recurrent=[random(5, 5) - 0.7, random(4, 4) - 0.7],
        recurrent_delays=[random(5, 5), 0 * random(4, 4)],
    )


def kernel_value(kind, s, kernel):
    """The kernels as their docstrings print them."""
    s = np.maximum(s, 0.0)
    if kind == "ReLU":
        return s
    tau_syn = float(kernel.tau_syn)
    if kind == "nLIF":
        return 1 - np.exp(-s / tau_syn)
    tau = float(kernel.tau)
    if tau == tau_syn:
        return s / tau * np.exp(-s / tau)
    return tau / (tau - tau_syn) * (np.exp(-s / tau) - np.exp(-s / tau_syn))


def potential(kind, net, layer, neuron, at, trains):
    """`h` of a neuron by the plain sum over all spikes that it gets.

    Args:
        at: times, any shape.
        trains: the lines' and the layers' spike times.
    """
    at = np.asarray(at, float)
    total = np.zeros(at.shape)
    kernel = net.kernels[layer]
    parts = [(net.weights, net.delays, trains[layer])]
    if len(net.recurrent):
        parts.append((net.recurrent, net.recurrent_delays, trains[layer + 1]))
    for weights, delays, times in parts:
        for j, train in enumerate(times):
            delay = float(delays[layer][neuron, j]) if len(delays) else 0.0
            for t in train[np.isfinite(train)]:
                total += float(weights[layer][neuron, j]) * kernel_value(
                    kind, at - t - delay, kernel
                )
    return total


def check_exact(kind, net, inputs, until, points=4000, tolerance=1e-9):
    """Every spike is a crossing, and none is missing."""
    with torch.no_grad():
        out = net(inputs, until)
    trains = [np.asarray(inputs), *(layer.numpy() for layer in out.layers)]
    grid = np.linspace(0, until, points)
    found = 0
    for layer in range(len(net.weights)):
        for neuron in range(net.sizes[layer + 1]):
            theta = float(net.thresholds[layer].detach()[neuron])
            train = trains[layer + 1][neuron]
            train = train[np.isfinite(train)]
            found += len(train)

            def u(at, before, *, where=(layer, neuron), train=train, theta=theta):
                """The membrane with the resets of the spikes before a time."""
                kept = before[..., None] > train
                if net.reset == "leaky":
                    rate = 1 / float(net.kernels[where[0]].tau)
                    passed = np.where(kept, at[..., None] - train, 0.0)
                    kept = kept * np.exp(-rate * passed)
                h = potential(kind, net, *where, at, trains)
                return h - theta * kept.sum(-1)

            assert np.abs(u(train, train) - theta).max(initial=0) < tolerance
            # On the grid, with the resets of all spikes up to then, it stays below.
            assert u(grid, np.nextafter(grid, math.inf)).max() < theta + tolerance
    return found
