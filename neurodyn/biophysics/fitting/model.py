"""The model that is fitted: a membrane, what spikes set off, a rate of spikes, an electrode."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodyn.biophysics.fitting.membrane import Forced
from neurodyn.biophysics.recordings import Recording
from neurodyn.neurons import Neuron
from neurodyn.scan import scan

ELECTRODE = (0.3, 1.0)
"""Time constants of what the electrode adds to the voltage [ms], beside what is immediate."""
BEFORE = 1.0
"""From here before a spike the voltage is the spike's own, and does not count [ms]."""


UNIT = 30.0
"""The rest and the electrode are learned in this unit [mV], so that all parameters are near 1."""
FEW = 20.0
"""A kernel that is slower than this gathers spikes: it begins the weaker for it [ms]."""
LONG = 10_000
"""Timesteps that the neuron is told to stay finite for."""


class Prepared(NamedTuple):
    """A recording as tensors, (T, sweeps[, kernels])."""

    current: Tensor
    lagged: Tensor
    electrode: Tensor
    voltage: Tensor
    hold: Tensor
    spikes: Tensor
    live: Tensor
    quiet: Tensor
    a: Tensor
    b: Tensor


class Escape(nn.Module):
    """A neuron with spike-triggered currents and a moving threshold that fires at random:

        u follows the neuron's flow, with input  gain I + sum_j g_j L_j[I] - sum_k w_k a_k
        rate(t) = r / (1 + r / top),  r = exp((u - level - sum_k v_k b_k) / width)  per ms
        V = rest + scale u + electrode               [mV]

    `top` is learned. Without it, one moment in which the model is sure of a spike that does not
    come costs as much as hundreds of spikes, and a fit is as good as its worst moment.

    `level` begins at 1. It is learned although `scale` could say the same: the spikes then place
    the threshold, and the voltage the scale, which an optimiser does much sooner.

    `a_k` and `b_k` decay with the time constants `currents` and `thresholds` and gain 1 at the end
    of each refractory time; `L_j[I]` is the current, low-passed with the time constants `lags`.

    Args:
        neuron: the membrane; a copy is fitted.
        dt: of a sample [ms].
        currents, thresholds, lags: time constants [ms].
        refractory: [ms].
        rest, scale: where the potential rests, and from there to where spikes set in [mV]; these
            and what follows is only where a fit starts from.
        tau: the membrane's time constant [ms].
        resistance: [megohm].
        reset: in units of `scale` above the rest.
    """

    def __init__(
        self,
        neuron: Neuron,
        dt: float,
        *,
        currents: Sequence[float],
        thresholds: Sequence[float],
        lags: Sequence[float],
        refractory: float,
        rest: float = -70.0,
        scale: float = 20.0,
        tau: float = 15.0,
        resistance: float = 100.0,
        reset: float = 0.8,
    ) -> None:
        super().__init__()
        self.dt, self.refractory = dt, refractory
        self.currents, self.thresholds, self.lags = tuple(currents), tuple(thresholds), tuple(lags)
        self.neuron = copy.deepcopy(neuron).double()
        leak = self._leak()
        self.log_share = _number(math.log(dt / tau / leak))
        self.log_gain = _number(math.log(resistance / scale * leak))
        self.reset, self.log_width = _number(reset), _number(math.log(0.15))
        self.log_top = _number(1.0)
        self.rest, self.log_scale = _number(rest / UNIT), _number(math.log(scale))
        self.level = _number(1.0)
        self.g = _numbers([0.0] * len(self.lags))
        self.w = _numbers([0.2 * leak * min(1.0, FEW / tau) for tau in currents])
        self.v = _numbers([0.1 * min(1.0, FEW / tau) for tau in thresholds])
        self.electrode = _numbers([0.0] * (1 + len(ELECTRODE)))
        self.log_error = _number(math.log(3.0))

    def _leak(self) -> float:
        """How fast the membrane returns to its rest, per timestep of the neuron."""
        step = 1e-3
        state = [torch.zeros(1, dtype=torch.float64) for _ in self.neuron.states]
        with torch.no_grad():
            start = self.neuron.charge(state[0], *state)[0]
            state[0] = state[0] + step
            moved = self.neuron.charge(0 * state[0], *state)[0]
        return min(max(float((step - (moved - start)[0]) / step), 0.05), 1.0)

    @property
    def potentials(self) -> tuple[float, float]:
        """Where the potential rests, and how much one unit of the neuron is [mV]."""
        return UNIT * float(self.rest), float(self.log_scale.exp())

    @property
    def threshold(self) -> float:
        """Of a cell that has not fired [mV]."""
        return UNIT * float(self.rest) + float(self.level * self.log_scale.exp())

    def prepare(self, recording: Recording) -> Prepared:
        """A recording, sampled at `dt`, as what the model needs of it."""
        dt, shape = recording.dt, recording.current.shape
        hold, spikes, quiet, ends = (np.zeros(shape) for _ in range(4))
        n, r, before = len(hold), round(self.refractory / dt), round(BEFORE / dt)
        old = np.zeros((2, max(len(self.currents), len(self.thresholds)), shape[1]))
        for k, (now, past) in enumerate(zip(recording.spikes, recording.before, strict=True)):
            for at in np.ceil(now / dt).astype(int):
                spikes[min(at, n - 1), k] = 1
                hold[at + 1 : at + r + 1, k] = 1
                quiet[max(at - before, 0) : at + r + 1, k] = 1
                if at + r < n:
                    ends[at + r, k] = 1
            for time in past:
                end = round(time / dt) + r
                if end >= 0:
                    hold[: end + 1, k] = 1
                    ends[min(end, n - 1), k] += 1
                    quiet[: end + 1, k] = 1
                else:
                    for row, taus in enumerate((self.currents, self.thresholds)):
                        old[row, : len(taus), k] += np.exp(end * dt / np.array(taus))
        whole = np.concatenate([recording.lead, recording.current])
        lags = [low_passed(whole, dt, tau)[-n:] for tau in self.lags]
        seen = [recording.current, *(low_passed(whole, dt, tau)[-n:] for tau in ELECTRODE)]
        values = (
            recording.current,
            np.stack(lags, -1) if lags else np.zeros((*shape, 0)),
            np.stack(seen, -1),
            recording.voltage,
            hold,
            spikes,
            1 - hold,
            1 - quiet,
            decayed(ends, dt, self.currents, old[0]),
            decayed(ends, dt, self.thresholds, old[1]),
        )
        return Prepared(*(torch.from_numpy(np.ascontiguousarray(value)) for value in values))

    def barrier(self, rate: Tensor) -> Tensor:
        """Where `r` has to be for a rate, both as logarithms per ms; infinite from `top` on."""
        return rate - torch.log(-torch.expm1((rate - self.log_top).clamp(max=0.0)))

    def drive(self, data: Prepared) -> Tensor:
        """The membrane's input, without what spikes set off."""
        return self.log_gain.exp() * (data.current + data.lagged @ self.g)

    def start(self, data: Prepared) -> tuple[Tensor, ...]:
        """The states at the first sample, from the voltage there."""
        seen = data.voltage[:3].mean(0) - UNIT * data.electrode[0] @ self.electrode
        u = ((seen - UNIT * self.rest) / self.log_scale.exp()).clamp(-2.0, 1.0)
        rest = [value.to(u.dtype).expand_as(u) for value in self.neuron.initial_state()[1:]]
        return (u, *rest)

    def run(self, data: Prepared) -> tuple[Tensor, Tensor, Tensor]:
        """The membrane with the recorded spikes, the logarithm of the rate per sample, and the
        voltage [mV]."""
        x = self.drive(data) - data.a @ self.w
        forced = Forced(self.neuron, self.log_share, self.reset)
        (u,), _, _ = scan(forced, (x, data.hold), self.start(data), final=False)
        above = u - self.level - data.b @ self.v
        rate = above * torch.exp(-self.log_width)
        rate = rate - nn.functional.softplus(rate - self.log_top) + math.log(self.dt)
        outside = self.rest + data.electrode @ self.electrode
        voltage = UNIT * outside + self.log_scale.exp() * u
        return u, rate, voltage

    def loss(self, data: Prepared, voltage_weight: float) -> Tensor:
        """Negative log-likelihood per spike, of the spikes and, by its weight, of the voltage."""
        _, rate, voltage = self.run(data)
        error = ((voltage - data.voltage) ** 2 * data.quiet).sum() / data.quiet.sum()
        volts = 0.5 * error * torch.exp(-2 * self.log_error) + self.log_error
        count = data.spikes.sum()
        return (
            negative_log_likelihood(rate, data)
            + voltage_weight * self.dt * volts * data.quiet.sum() / count
        )


def negative_log_likelihood(rate: Tensor, data: Prepared) -> Tensor:
    """Of the recorded spikes, per spike [nats]."""
    return surprise(rate, data) / data.spikes.sum()


def surprise(rate: Tensor, data: Prepared) -> Tensor:
    """The negative log-likelihood of the recorded spikes [nats]. A sample has a spike with
    probability `1 - exp(-exp(rate))`."""
    expected = torch.exp(rate.clamp(max=10.0)) * data.live
    fired = expected[data.spikes > 0]
    return expected.sum() - fired.sum() - torch.log(-torch.expm1(-fired.clamp(min=1e-12))).sum()


def learning(neuron: Neuron) -> Neuron:
    """A copy all of whose quantities are learned, except for the threshold, which is the unit."""
    twin = copy.deepcopy(neuron).double()
    twin.set_horizon(LONG)
    twin._learn = [name for name in twin.declared if name != "threshold"]
    for name, quantity in twin.declared.items():
        if name == "threshold" or not twin._started(name):
            continue
        value = getattr(twin, name)
        now = [v.detach() for v in value] if quantity.vector else value.detach()
        twin.start(name, now)
    return twin.double()


def low_passed(x: NDArray[np.float64], dt: float, tau: float) -> NDArray[np.float64]:
    """Along the first dimension, from its first value on."""
    from scipy.signal import lfilter

    keep = math.exp(-dt / tau)
    found = lfilter([1 - keep], [1, -keep], x, axis=0, zi=keep * x[:1])[0]
    return np.asarray(found)


def decayed(
    ends: NDArray[np.float64], dt: float, taus: Sequence[float], old: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Traces that gain 1 where `ends` says and decay from there, and from `old` before."""
    from scipy.signal import lfilter

    found = np.zeros((*ends.shape, len(taus)))
    for k, tau in enumerate(taus):
        keep = math.exp(-dt / tau)
        found[..., k] = lfilter([1], [1, -keep], ends, axis=0, zi=old[None, k])[0]
    return found


def _number(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value, dtype=torch.float64))


def _numbers(values: Sequence[float]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))
