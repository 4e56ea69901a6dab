"""Fitting a neuron to a recording."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from neurodyn.biophysics.fitting.fitted import Fitted
from neurodyn.biophysics.fitting.model import BEFORE, Escape, Prepared, learning
from neurodyn.biophysics.fitting.whitening import whitened
from neurodyn.biophysics.recordings import Recording
from neurodyn.errors import check
from neurodyn.neurons import Neuron

SAMPLE = 0.1
"""Finer recordings are averaged to this step [ms]."""
LEAST_SPIKES = 20
"""Fewer spikes do not say where a threshold is."""
ABOVE = 0.25
"""No cell spends as much of its time above the threshold of its spikes."""
SHORTEST, LONGEST = 1.0, 4.0
"""A refractory time that is not given [ms]."""
STRIDE = 2.0
"""The start's least squares look at the change of the voltage over this time [ms]."""
FIRST = 60
"""Steps of Adam, before the steps of L-BFGS."""


def fit(
    neuron: Neuron,
    train: Recording,
    *,
    currents: Sequence[float] = (10.0, 100.0, 500.0),
    thresholds: Sequence[float] = (5.0, 50.0, 500.0),
    lags: Sequence[float] = (5.0, 50.0, 500.0),
    refractory: float | None = None,
    voltage: float = 0.004,
    steps: int = 120,
    progress: bool = True,
) -> Fitted:
    """Fit a neuron to a recording, by the gradient of its kernel.

    The neuron is teacher-forced: the recorded spikes reset the membrane, and set off the currents
    and the rise of the threshold. What is maximised is the likelihood of the spikes, which the
    model fires at random (see `Escape`), and of the voltage between them. Everything is learned:
    the neuron's equation, the potentials that are its 0 and 1, kernels, reset, electrode. The
    neuron's time constants count as learned, whatever it declares. The same call gives the same
    result.

    The default time constants and weight of the voltage were chosen for `LNM(degree=3)` on one half
    of a cell in noise, and do as well on its other half. For families of steps
    `neurodyn bench recordings --choose` often takes others: slower kernels, to 3 s, and another
    weight of the voltage.

    Args:
        neuron: of one equation for the layer (`per="layer"`), such as `LNM(degree=3)`; a copy is
            fitted. What its own spikes do (reset, adaptation) is left out: the kernels do that.
        train: the recording to learn from.
        currents: time constants of spike-triggered currents [ms].
        thresholds: time constants of the moving threshold [ms].
        lags: time constants of low-passed currents that drive the membrane too [ms]: a dendrite
            that drains the soma, or a threshold that follows the potential, both look so.
        refractory: for how long the membrane stays at the reset after a spike [ms]. Unless given,
            for as long as the voltage falls after a spike, on the median; at most 4, and half of
            what one interval in twenty falls short of.
        voltage: how much the voltage counts: per millisecond, in samples of Gaussian error.
        steps: of L-BFGS.
        progress: show the likelihood as it falls, where `tqdm` is installed.

    Raises:
        ValueError: too few spikes, a potential that stays above what is taken for a spike, or an
            option out of its range.
        FloatingPointError: the fit diverged.
    """
    for name, taus in (("currents", currents), ("thresholds", thresholds), ("lags", lags)):
        for tau in taus:
            check(name, tau, train.dt)
    if refractory is not None:
        check("refractory", refractory, 0.0)
    check("voltage", voltage, 0.0)
    check("steps", steps, 1)
    if neuron.per != "layer":
        raise ValueError(f"neuron: expected per='layer', got per={neuron.per!r}")
    count = sum(map(len, train.spikes))
    if count < LEAST_SPIKES:
        raise ValueError(
            f"train: expected at least {LEAST_SPIKES} spikes, got {count} that cross "
            f"{train.threshold:g} mV ({train.voltage.max():.1f} mV is the highest)"
        )
    _check_spikes(train)
    train = train.coarser(SAMPLE)
    refractory = _refractory(train) if refractory is None else refractory
    model = Escape(
        learning(neuron),
        train.dt,
        currents=currents,
        thresholds=thresholds,
        lags=lags,
        refractory=refractory,
        **_start(train, refractory),
    )
    data = model.prepare(train)
    with whitened(model, data):
        _descend(model, data, voltage, steps, progress)
    return Fitted(model, {"voltage": voltage, "steps": steps}).calibrated(train)


def _check_spikes(train: Recording) -> None:
    """An error if crossings of the threshold cannot be spikes."""
    above = (train.voltage > train.threshold).mean(0)
    k = int(above.argmax())
    if above[k] > ABOVE:
        v = train.voltage[:, k]
        raise ValueError(
            f"train: expected spikes that cross {train.threshold:g} mV and come back, got "
            f"{train.names[k]!r} that is above it for {100 * above[k]:.0f} % of its time; give the "
            f"recording a threshold between that and its peaks, such as "
            f"{(np.median(v) + v.max()) / 2:.0f} mV"
        )


def _refractory(train: Recording) -> float:
    """For how long the voltage falls after a spike; less in a cell that fires fast [ms]."""
    intervals = np.concatenate([np.diff(times) for times in train.spikes])
    short = float(np.percentile(intervals, 5)) / 2 if len(intervals) else math.inf
    n = math.floor(min(LONGEST, short) / train.dt)
    after = [
        train.voltage[at : at + n + 1, k]
        for k, times in enumerate(train.spikes)
        for at in np.ceil(times / train.dt).astype(int)
        if at + n < len(train.voltage)
    ]
    falls = n - int(np.median(after, 0)[::-1].argmin()) if after else n
    return max(falls * train.dt, SHORTEST)


def _start(train: Recording, refractory: float) -> dict[str, float]:
    """Where the fit begins: a leaky membrane by least squares, between spikes over `STRIDE`, and
    from the voltage before and after spikes what its threshold and reset are."""
    v, dt = train.voltage, train.dt
    n, quiet = max(round(STRIDE / dt), 1), np.ones(v.shape, dtype=bool)
    onset, after = [], []
    for k, times in enumerate(train.spikes):
        for at in (times / dt).astype(int):
            first, last = at - round(BEFORE / dt), at + 1 + math.ceil(refractory / dt)
            quiet[max(first, 0) : last + 1, k] = False
            onset.append(v[max(first, 0), k])
            after.append(v[min(last, len(v) - 1), k])
    sums = (np.cumsum(np.pad(x, ((1, 0), (0, 0))), 0) for x in (v, train.current, ~quiet))
    mean_v, mean_i, spiking = ((x[n:-1] - x[: -n - 1]) / n for x in sums)
    rows = (spiking == 0) & quiet[n:]
    columns = np.stack([np.ones(rows.sum()), mean_v[rows], mean_i[rows]], 1)
    drift, leak, drive = np.linalg.lstsq(columns, ((v[n:] - v[:-n]) / n / dt)[rows], rcond=None)[0]
    tau = 1 / float(np.clip(-leak, 1 / 200, 1))
    rest = float(np.clip(drift * tau, np.percentile(v, 1), np.median(onset) - 5.0))
    scale = float(np.median(onset)) - rest
    return {
        "rest": rest,
        "scale": scale,
        "tau": tau,
        "resistance": float(np.clip(drive * tau, 1.0, 3000.0)),
        "reset": float(np.clip((np.median(after) - rest) / scale, -1.5, 0.9)),
    }


class _Best:
    """The lowest loss so far, and the parameters that gave it."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self.parameters, self.loss = parameters, math.inf
        self.values = [p.detach().clone() for p in parameters]

    def see(self, loss: float) -> None:
        """Keep the parameters as they are if their loss is the lowest."""
        if loss < self.loss:
            self.loss, self.values = loss, [p.detach().clone() for p in self.parameters]

    def restore(self) -> None:
        """Go back to them."""
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self.values, strict=True):
                parameter.copy_(value)


def _descend(model: Escape, data: Prepared, voltage: float, steps: int, progress: bool) -> None:
    parameters = [p for p in model.parameters() if p.requires_grad]
    best, bar = _Best(parameters), _bar(FIRST + steps, progress)

    def loss() -> float:
        for parameter in parameters:
            parameter.grad = None
        value = model.loss(data, voltage)
        value.backward()  # type: ignore[no-untyped-call]
        best.see(value.item())
        bar.set_postfix_str(f"{value.item():.3f} nats per spike", refresh=False)
        bar.update(min(1, bar.total - bar.n))
        return value.item()

    first = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(FIRST):
        if not math.isfinite(loss()):
            break
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        first.step()
    best.restore()
    second = torch.optim.LBFGS(
        parameters,
        max_iter=steps,
        history_size=30,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-9,
    )
    second.step(loss)
    best.restore()
    bar.close()
    if not math.isfinite(best.loss):
        raise FloatingPointError(
            "fit: it diverged; fewer time constants, or a neuron of lower degree, may not"
        )


class _Silent:
    """A progress bar that shows nothing."""

    total, n = 1, 1

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Shows nothing."""

    def update(self, n: int = 1) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Shows nothing."""


def _bar(total: int, wanted: bool) -> _Silent:
    if not wanted:
        return _Silent()
    try:
        from tqdm import tqdm
    except ImportError:
        return _Silent()
    bar: _Silent = tqdm(total=total, desc="fit", unit="step", leave=False)
    return bar
