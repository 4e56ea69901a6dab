"""Networks of spike-response neurons in continuous time, with exact spike times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from neurodyn.convert.events.arguments import (
    check_learned,
    layer_sizes,
    matrices,
    read_kernels,
    read_thresholds,
)
from neurodyn.convert.events.copies import Copies
from neurodyn.convert.events.graph import Flat, Projection, flatten
from neurodyn.convert.events.kernels import Kernel
from neurodyn.convert.events.spiking import BoundError, Run, SpikeTimes
from neurodyn.convert.events.trains import Given, Trains, most_spikes, read_trains, trimmed

Weights = Sequence[Tensor]


class Events(nn.Module):
    """Layers of neurons that fire at exact times, simulated from event to event:

        h_i(t) = sum_j w_ij sum_f kappa(t - t_j^f - d_ij)           potential, no reset in it
        u_i(t) = h_i(t) - theta_i (spikes of i before t)            reset "soft"
        u_i(t) = h_i(t) - theta_i sum_f exp(-(t - t_i^f) / tau)     reset "leaky"

    A neuron fires where `u >= theta`. The soft reset does not leak, so its `k`-th spike is where
    `h` first reaches `k theta`. The leaky reset is that of the usual LIF equation. Times are in one
    unit of your choice, milliseconds for example. All is float64. Weights, delays, thresholds and
    the kernels' time constants are parameters. The gradients of spike times are exact (see
    `neurodyn.convert.events.adjoint`): no surrogate is needed.

    Args:
        weights: one matrix per layer, (neurons, sources).
        thresholds: the thresholds, > 0: a number, or one number or vector per layer.
        kernel: one for all layers, or one per layer.
        delays: one matrix of delays >= 0 per layer, of the weights' shape, or None.
        recurrent: one matrix per layer, (neurons, neurons), or None: synapses within a layer.
        recurrent_delays: their delays.
        reset: `"soft"` or `"leaky"`; a leaky one needs the `LIFKernel`.
        once: neurons fire at most once.

    Raises:
        ValueError: shapes that do not fit; a threshold that is not positive; a negative delay; a
            reset that the kernel does not have. Calling it, too: if training has moved a threshold,
            a time constant or a delay to where it means nothing.

    Calling it, `trains = net(inputs, until=60.0)`, returns `Trains`; see there and `read_trains`
    for the form of spike times. `until` is the last time that counts. Left out, the simulation ends
    when nothing more can happen.
    """

    def __init__(
        self,
        weights: Weights,
        thresholds: float | Sequence[float | Tensor] = 1.0,
        kernel: Kernel | Sequence[Kernel] | None = None,
        *,
        delays: Weights | None = None,
        recurrent: Weights | None = None,
        recurrent_delays: Weights | None = None,
        reset: Literal["soft", "leaky"] = "soft",
        once: bool = False,
    ) -> None:
        super().__init__()
        self.sizes = layer_sizes(weights)
        """Input lines, then neurons of each layer."""
        self.weights = matrices("weights", weights, self.sizes)
        self.delays = matrices("delays", delays, self.sizes, low=0.0)
        self.recurrent = matrices("recurrent", recurrent, self.sizes)
        self.recurrent_delays = matrices("recurrent_delays", recurrent_delays, self.sizes, low=0.0)
        self.thresholds = read_thresholds(thresholds, self.sizes)
        kernels = read_kernels(kernel, self.sizes)
        self.kernels = nn.ModuleList(kernels)
        if reset not in ("soft", "leaky"):
            raise ValueError(f"reset: expected 'soft' or 'leaky', got {reset!r}")
        if reset == "leaky" and not all(k.leaks for k in kernels):
            raise ValueError("reset: a leaky reset needs a membrane that leaks, the LIFKernel")
        self.reset, self.once = reset, once
        self.copies = tuple(Copies.plain(n) for n in self.sizes)
        self.bounds: tuple[Any, ...] | None = None
        """Of a converted network, the highest level that each origin may reach: the lines' number
        of spikes first, then by layer."""
        self.autapse = 0.0
        """What a neuron's own spike takes from its membrane besides the reset, in thresholds."""
        self.lateral = False
        """Copies lift later copies of the same neuron: see `single_spike`."""
        self.origin: tuple[Events, ...] = ()
        """Of a converted network, the first one; in a tuple, as it is not a part of this one."""

    @classmethod
    def random(
        cls,
        sizes: Sequence[int],
        kernel: Kernel | None = None,
        *,
        seed: int,
        spread: float = 3.0,
        threshold: tuple[float, float] = (0.8, 1.5),
        reset: Literal["soft", "leaky"] = "soft",
    ) -> Events:
        """A network with random signed weights and thresholds.

        Args:
            sizes: input lines, then neurons of each layer.
            kernel: as above.
            seed: of the draw.
            spread: weights are normal with mean `spread / sources` and deviation `spread /
                sqrt(sources)`, so that excitation outweighs inhibition in most neurons.
            threshold: the range that thresholds are drawn from.
            reset: as above.
        """
        generator = torch.Generator().manual_seed(seed)
        low, high = threshold
        weights, thresholds = [], []
        for sources, targets in pairwise(sizes):
            normal = torch.randn(targets, sources, generator=generator, dtype=torch.float64)
            weights.append(spread * (normal / math.sqrt(sources) + 1 / sources))
            uniform = torch.rand(targets, generator=generator, dtype=torch.float64)
            thresholds.append(low + (high - low) * uniform)
        return cls(weights, thresholds, kernel, reset=reset)

    def forward(
        self, inputs: Given, until: float | None = None, *, max_spikes: int = 100_000
    ) -> Trains:
        """Simulate: see the class.

        Args:
            inputs: spike times by line; of a converted network, those of the original's lines.
            until: the last time that counts.
            max_spikes: a neuron that fires more often than this ends the simulation with an error.
        """
        times, batched = read_trains(inputs, self.sizes[0])
        horizon = self._horizon(until)
        if self.bounds is not None:
            self._check_lines(times)
        flat = self._flat()
        run = Run(flat, self.lateral, horizon, max_spikes)
        try:
            spikes = SpikeTimes.apply(run, times, *self._values(flat))
        except BoundError as reached:
            raise self._too_small(flat, times, until, reached) from None
        layers = [trimmed(spikes[:, which]) for which in self._split(flat, flat.sentinel)]
        return Trains(tuple(t if batched else t[0] for t in layers), run.touches)

    def bound(self, inputs: Given, until: float | None = None) -> tuple[Any, ...]:
        """The highest level, in thresholds, that the inputs drive each neuron to: of the lines, how
        many spikes they have; of a layer's neurons, `floor(sup h / theta)`. Of neurons that fire
        more than once these are their numbers of spikes.

        Raises:
            ValueError: the reset leaks and neurons fire once: then `h` alone does not say it.
        """
        times, _ = read_trains(inputs, self.sizes[0])
        return (most_spikes(times), *self._reached(times, self._horizon(until)))

    def converted(
        self,
        copies: Sequence[Copies],
        bounds: Sequence[Any] | None,
        *,
        once: bool,
        autapse: float = 0.0,
        lateral: bool = False,
    ) -> Events:
        """The network whose neurons are copies of this one's. It shares the parameters, and nothing
        else: a hook on the one is none on the other."""
        twin = object.__new__(type(self))
        for name, value in vars(self).items():
            twin.__dict__[name] = value.copy() if isinstance(value, dict) else value
        twin.copies, twin.once = tuple(copies), once
        twin.autapse, twin.lateral = autapse, lateral
        twin.bounds = None if bounds is None else tuple(bounds)
        # Without bounds it is another network, not this one converted.
        twin.origin = () if bounds is None else self.origin or (self,)
        return twin

    def extra_repr(self) -> str:
        sizes = "-".join(str(len(c)) for c in self.copies)
        return f"{sizes} neurons, reset={self.reset!r}, once={self.once}"

    @property
    def each_kernel(self) -> list[Kernel]:
        """The kernel of each layer."""
        return [cast(Kernel, kernel) for kernel in self.kernels]

    @property
    def neurons(self) -> int:
        """Neurons of all layers, input lines left out."""
        return sum(len(copies) for copies in self.copies[1:])

    @property
    def synapses(self) -> int:
        """Synapses between neurons and from lines, each copy's own counted; lateral edges too."""
        total = 0
        for p in self._projections():
            there = p.weight.detach().numpy() != 0
            total += int(
                self.copies[p.target].per_origin @ there @ self.copies[p.source].per_origin
            )
        if self.lateral:
            for copies in self.copies[1:]:
                each = copies.per_origin
                total += int((each * (each - 1) // 2).sum())
        return total

    def _reached(self, times: Tensor, horizon: float) -> list[Any]:
        """The highest level that each origin reaches, by layer."""
        if self.lateral:
            raise ValueError(
                "bound: with a leaking reset the number of spikes does not follow from the inputs' "
                "potential. Take the bound of the network that fires more than once"
            )
        with torch.no_grad():
            flat = self._flat(probes=True)
            run = Run(flat, self.lateral, horizon, 100_000)
            spikes = SpikeTimes.apply(run, times, *self._values(flat))
        counts = np.isfinite(spikes.numpy()).sum(-1).max(0, initial=0)
        return [counts[which] for which in self._split(flat, ~flat.probe)]

    def _too_small(
        self, flat: Flat, times: Tensor, until: float | None, reached: BoundError
    ) -> ValueError:
        neuron = reached.neuron
        had = int(flat.level[neuron]) - 1
        # Here the spikes that have no copies are missing. The original network has them all.
        _, *levels = self.origin[0].bound(times[reached.sample], until)
        needed = int(levels[flat.layer[neuron]][flat.within[neuron]])
        return ValueError(
            f"bound: sample {reached.sample}: {flat.name(neuron)} needs {needed}, the network was "
            f"made for {had}. Take the bound from such inputs: net.bound(inputs, until)"
        )

    def _check_lines(self, times: Tensor) -> None:
        assert self.bounds is not None
        most = most_spikes(times)
        short = np.nonzero(most > self.bounds[0])[0]
        if len(short):
            line = int(short[0])
            raise ValueError(
                f"inputs: line {line} has {int(most[line])} spikes, the network was made for "
                f"{int(self.bounds[0][line])}"
            )

    def _horizon(self, until: float | None) -> float:
        if until is None:
            if any(kernel.endless for kernel in self.each_kernel):
                raise ValueError("until: these neurons may fire for ever; expected a last time")
            return math.inf
        if not until >= 0:
            raise ValueError(f"until: expected a time from 0 on, got {until}")
        return float(until)

    def _projections(self) -> list[Projection]:
        found = []
        for k, weight in enumerate(self.weights):
            delay = self.delays[k] if len(self.delays) else None
            found.append(Projection(k, k + 1, weight, delay))
            if len(self.recurrent):
                delay = self.recurrent_delays[k] if len(self.recurrent_delays) else None
                found.append(Projection(k + 1, k + 1, self.recurrent[k], delay))
        return found

    def _flat(self, *, probes: bool = False) -> Flat:
        learned = torch.is_grad_enabled() and any(
            w.requires_grad for w in (*self.weights, *self.recurrent)
        )
        return flatten(
            self.copies,
            self._projections(),
            once=self.once,
            bounds=None if probes or self.bounds is None else self.bounds[1:],
            probes=probes,
            keep_zeros=learned,
        )

    def _values(self, flat: Flat) -> list[Tensor]:
        """What the engine needs of every neuron and synapse."""
        layers = []
        for k, (kernel, theta) in enumerate(zip(self.each_kernel, self.thresholds, strict=True)):
            size = (self.sizes[k + 1],)
            kicks = (self.reset == "leaky" and not self.once) + self.autapse
            layers.append((theta, theta * kicks, *(rate.expand(size) for rate in kernel.rates())))
        origin = torch.from_numpy(flat.origin - self.sizes[0])
        # One by one: what needs no gradient is to be known as such. The engine is exact in float64
        # alone; `net.float()` rounds the parameters, no more.
        columns = [torch.cat(column)[origin] for column in zip(*layers, strict=True)]
        values = [value.double() for value in (*columns, flat.weight, flat.delay)]
        check_learned(flat, values)
        return values

    def _split(self, flat: Flat, without: Any) -> list[Any]:
        """The neurons of each layer."""
        layers = range(len(self.weights))
        return [np.nonzero((flat.layer == k) & ~without)[0] for k in layers]
