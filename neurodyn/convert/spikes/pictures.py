"""Pictures of the equivalence: how many neurons it takes, and what the conversions do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from neurodyn.convert.events import Events
from neurodyn.convert.events.crossing import kappa
from neurodyn.convert.events.trains import Given, read_trains
from neurodyn.convert.spikes.theory import multi_spike_neurons, share, share_bound

ONE, OTHER, GUIDE = "#1f6fb4", "#d1495b", "#9a9a9a"


def plot_neurons(most: int = 1000) -> Figure:
    """Neurons that stand for one neuron, against the number of spikes `N`: `N` that fire once for
    one that fires many times, and `Q(N)` that fire many times for one that fires once."""
    spikes = np.arange(1, most + 1)
    shares = np.array([share(int(n)) for n in spikes])
    bounds = np.array([share_bound(int(n)) for n in spikes])
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(spikes, spikes, color=ONE, label="that fire once: N")
    left.plot(spikes, shares * spikes, color=OTHER, label="that fire many times: Q(N)")
    left.plot(spikes, bounds * spikes, color=GUIDE, linestyle="--", label="the theorem's bound")
    left.set(xlabel="spikes N of a neuron", ylabel="neurons for one", title="Neurons needed")
    right.plot(spikes, bounds, color=GUIDE, linestyle="--", label="the theorem's bound")
    right.plot(spikes, shares, color=OTHER, label="Q(N) / N")
    right.axhline(6 / math.pi**2, color=GUIDE, linewidth=0.8)
    right.annotate("6 / π²", (1.1, 6 / math.pi**2), va="bottom", color="#666666")
    right.set(xlabel="spikes N of a neuron", xscale="log", ylabel="Q(N) / N", ylim=(0.5, 1.03))
    right.set_title(f"The share at N = {most}: {multi_spike_neurons(most) / most:.3f}")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_levels(
    net: Events, inputs: Given, until: float, *, layer: int = 0, neuron: int = 0
) -> Figure:
    """The staircase of one neuron: its potential `h` crosses one level for each of its spikes;
    below it, the membrane with its resets.

    Args:
        net: a network whose reset does not leak and whose neurons are not copies.
        inputs, until: as `net` takes them, one sample.
        layer, neuron: which neuron.
    """
    if net.reset != "soft" or net.once:
        raise ValueError("net: expected neurons that fire many times, with a reset that stays")
    at = np.linspace(0, until, 2000)
    trains = net(inputs, until)
    h = potential(net, inputs, until, layer, neuron, at)
    spikes = trains[layer].detach()[neuron].numpy()
    spikes = spikes[np.isfinite(spikes)]
    theta = float(net.thresholds[layer].detach()[neuron])
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.4))
    for level in range(1, len(spikes) + 2):
        top.axhline(level * theta, color=GUIDE, linewidth=0.7, linestyle=":")
    top.plot(at, h, color=ONE)
    stairs = np.append(np.arange(len(spikes) + 1), len(spikes))
    top.step(np.r_[0, spikes, until], theta * stairs, where="post", color=GUIDE, linewidth=1)
    top.plot(spikes, theta * np.arange(1, len(spikes) + 1), "o", color=OTHER, markersize=4)
    top.set_ylabel("potential h")
    top.set_title(f"Layer {layer + 1}, neuron {neuron}: spike k is where h first reaches level k")
    fired = (at[:, None] >= spikes).sum(1)
    bottom.plot(at, h - theta * fired, color=ONE)
    bottom.axhline(theta, color=GUIDE, linewidth=0.7, linestyle=":")
    bottom.set(ylabel="membrane u", xlabel="time")
    for axes in (top, bottom):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_conversion(net: Events, other: Events, inputs: Given, until: float) -> Figure:
    """The spikes of a network before and after a conversion, layer by layer, for one sample.

    Spikes of copies that count negatively are open.
    """
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for axes, each, name in ((left, net, "before"), (right, other, "after")):
        _raster(axes, each, inputs, until)
        fires = "each fires at most once" if each.once else "each fires many times"
        axes.set_title(f"{name}: {each.neurons} neurons, {fires}")
    return figure


def _raster(axes: Axes, net: Events, inputs: Given, until: float) -> None:
    trains, start, ticks = net(inputs, until), 0, []
    for layer, copies in enumerate(net.copies[1:]):
        times = trains[layer].detach().numpy()
        neuron, place = np.nonzero(np.isfinite(times))
        at, sign = times[neuron, place], copies.sign[neuron]
        colour = (ONE, OTHER)[layer % 2]
        axes.plot(at[sign > 0], start + neuron[sign > 0], "|", color=colour, markersize=6)
        axes.plot(
            at[sign < 0],
            start + neuron[sign < 0],
            "o",
            color=colour,
            markersize=3,
            fillstyle="none",
        )
        ticks.append((start + (len(copies) - 1) / 2, f"layer {layer + 1}\n{len(copies)} neurons"))
        start += len(copies)
        axes.axhline(start - 0.5, color="#e0e0e0", linewidth=0.8)
    axes.set_yticks([place for place, _ in ticks], [name for _, name in ticks])
    axes.set(xlabel="time", ylim=(start - 0.5, -0.5), xlim=(0, until))
    axes.spines[["top", "right"]].set_visible(False)


def potential(net: Events, inputs: Given, until: float, layer: int, neuron: int, at: Any) -> Any:
    """`h` of one neuron at times `at`, without any reset, by the plain sum over all spikes that it
    gets. For one sample."""
    times, _ = read_trains(inputs, net.sizes[0])
    trains = net(inputs, until)
    alpha, beta, gain = (
        float(rate.detach().expand(net.sizes[layer + 1])[neuron])
        for rate in net.each_kernel[layer].rates()
    )
    h = np.zeros(len(at))
    for weights, delays, sources in (
        (net.weights, net.delays, times[0] if layer == 0 else trains[layer - 1]),
        (net.recurrent, net.recurrent_delays, trains[layer]),
    ):
        for source, train in enumerate(sources.detach() if len(weights) else []):
            delay = float(delays[layer].detach()[neuron, source]) if len(delays) else 0.0
            weight = float(weights[layer].detach()[neuron, source])
            for t in _finite(train):
                for k in np.nonzero(at > t + delay)[0]:
                    h[k] += weight * kappa(at[k] - t - delay, alpha, beta, gain)
    return h


def _finite(train: Tensor) -> Any:
    return train[torch.isfinite(train)].numpy()
