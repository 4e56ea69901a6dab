"""Pictures of a surrogate beside the simulator."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from neurodyn.analysis.pictures import LEARNED, REFERENCE
from neurodyn.biophysics.noble.curves import Firing
from neurodyn.biophysics.noble.surrogate import Surrogate
from neurodyn.biophysics.noble.traces import Traces


def plot_traces(surrogate: Surrogate, traces: Traces, title: str = "") -> Figure:
    """Each of some traces, simulated and predicted, under its current."""
    V = surrogate.predict(traces.current(), traces.features)
    rows, times = len(traces), traces.times.numpy()
    figure = Figure(figsize=(8, 1.7 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for k, axis in enumerate(axes):
        axis.plot(times, traces.V[k].numpy(), color=REFERENCE, lw=1.6, label="simulated")
        axis.plot(times, V[:, k].numpy(), color=LEARNED, lw=0.9, label="predicted")
        stop = float(traces.onset[k]) + traces.stimulus.duration
        axis.axvspan(float(traces.onset[k]), stop, color="0.93", zorder=0)
        axis.set_title(
            f"model {int(traces.model[k])}, {1000 * float(traces.amplitude[k]):.0f} pA",
            fontsize=8,
            loc="left",
        )
    axes[0].legend(fontsize=8, frameon=False, ncols=2, loc="upper right")
    axes[-1].set_xlabel("time [ms]")
    figure.supylabel("potential [mV]", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def plot_rates(
    predicted: Firing, simulated: Firing, models: Tensor, features: Tensor, amplitudes: Tensor
) -> Figure:
    """The curves of firing rate against current of some models, predicted and simulated.

    Args:
        predicted: by a surrogate.
        simulated: by the family.
        models: numbers of the models, `(n,)`.
        features: of those models, `(n, 2)`.
        amplitudes: of the steps [nA], `(m,)`.
    """
    true, found = simulated.rates(models, amplitudes), predicted.rates(features, amplitudes)
    current = amplitudes.numpy()
    figure = Figure(figsize=(2.6 * len(models), 2.8), layout="constrained")
    axes = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    for k, axis in enumerate(axes):
        axis.plot(current, true[:, k].numpy(), color=REFERENCE, lw=2, label="simulated")
        axis.plot(current, found[:, k].numpy(), color=LEARNED, lw=1.2, label="predicted")
        axis.set_title(f"model {int(models[k])}", fontsize=9)
        axis.set_xlabel("current [nA]")
    axes[0].set_ylabel("firing rate [Hz]")
    axes[0].legend(fontsize=8, frameon=False)
    return figure


def plot_plane(
    predicted: Firing, training: Tensor, held_out: Tensor, amplitude: float, points: int = 24
) -> Figure:
    """Heat maps over the plane of the two features: how fast a predicted model fires at a current,
    and the threshold that is read from its predictions. The colours end at the 1st and the 99th
    percentile.

    Args:
        predicted: by a surrogate.
        training, held_out: features of the models, `(n, 2)`, drawn as dots and circles.
        amplitude: of the current [nA].
        points: of the grid in each direction.
    """
    low, high = training.aminmax(dim=0)
    axes_of = [torch.linspace(float(a), float(b), points) for a, b in zip(low, high, strict=True)]
    grid = torch.cartesian_prod(*axes_of)
    rates = predicted.rates(grid, torch.tensor([amplitude]))[0]
    threshold = predicted.features(grid)[:, 0]
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    heads = (f"firing rate at {1000 * amplitude:.0f} pA [Hz]", "threshold in the window [nA]")
    for axis, values, head in zip(figure.subplots(1, 2), (rates, threshold), heads, strict=True):
        shown: Any = axis.pcolormesh(
            axes_of[0].numpy(),
            axes_of[1].numpy(),
            values.reshape(points, points).T.numpy(),
            shading="nearest",
            vmin=float(values.nanquantile(0.01)),
            vmax=float(values.nanquantile(0.99)),
        )
        figure.colorbar(shown, ax=axis)
        axis.plot(*training.T.numpy(), ".", color="white", ms=4, label="training models")
        axis.plot(*held_out.T.numpy(), "o", mfc="none", color="white", ms=5, label="held out")
        axis.set(xlabel="threshold of the model [nA]", ylabel="slope [Hz/nA]", title=head)
    axis.legend(fontsize=8, labelcolor="white", facecolor="0.3", loc="upper right")
    return figure
