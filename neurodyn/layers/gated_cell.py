"""The base of the spiking gated cells: how their weights, their scan and their state meet."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neurodyn.declared import Declared
from neurodyn.errors import unknown
from neurodyn.layers.time import TimeDistributed
from neurodyn.neurons import Stateful
from neurodyn.neurons.layer import check_state
from neurodyn.scan import scan
from neurodyn.scan.links import Feedback, Onward
from neurodyn.scan.reference import Sequences, scan_reference
from neurodyn.step.trace import has_hooks
from neurodyn.surrogate import ArcTan, Surrogate

State = tuple[Tensor, ...]
Synapses = nn.Linear | nn.Conv2d
WINDOW = math.pi / math.sqrt(10)
"""Width and scale of `ArcTan` that give the window `1 / (1 + 10 v^2)`, whose peak is 1."""


class GatedCell(Stateful, Declared):
    """Base of the spiking gated cells: layers whose spikes come back through weights and gates.

    A cell includes its input weights: `x`, `(T, B, inputs)`, gives spikes `(T, B, hidden)`. With a
    `kernel`, all weights are same-padded convolutions, and `x`, `(T, B, inputs, H, W)`, gives
    `(T, B, hidden, H, W)`. A subclass is its equation:

        step(*inputs, s, i, v) -> (spikes, s, i, v)

    The state is `(s, i, v)`: last spikes, current and membrane; all start at 0. The inputs have
    passed the weights. Those of the input are applied to all steps at once, those of the last
    spikes at every step, as `back` says. Both stack the kernels of several equations, in the order
    that the subclass names. So the step is elementwise, and a dense cell runs as one kernel on the
    CPU. A class whose step is not made so has no `back`: its `step(x, s, i, v)` gets the stacked
    inputs, and applies the weights of the spikes as `self.recurrent(s)`. It runs as a plain loop.
    Quantities that a subclass declares, such as `alpha`, are options of its constructor too:
    `SpikGRU(64, 128, alpha=0.8)`.

    Args:
        inputs: channels of `x`.
        hidden: `C_h`, the number of neurons, or of channels with a `kernel`.
        kernel: side of the kernels, odd; None for dense weights.
        signed: spikes are -1, 0, or 1: `s = H(v - th) - H(-v - th)`. With `SpikGRU2` this is
            SpikGRU2+. There is a surrogate window at both thresholds, which is our reading.
        threshold: `th`.
        learn_threshold: train it.
        surrogate: the spike function; the cell takes a copy. By default its window is
            `1 / (1 + 10 (v - th)^2)`.

    Weights and biases start uniform within `+-1 / sqrt(hidden)`. There is one decay per neuron (per
    channel with a `kernel`, our reading); it starts at .9 and stays in [0, 1].

    Sources: Dampfhoffer et al. 2022 (the first four equations); Abdennadher et al.,
    arXiv:2510.25696 (CS-GRU, initialisation, surrogate).
    """

    from_input: ClassVar[int]
    """Number of kernels applied to the input."""

    from_spikes: ClassVar[int]
    """Number of kernels applied to the last spikes."""

    back: ClassVar[tuple[int | None, ...]]
    """For each input of the step, the place of the spikes' kernel that enters it. It belongs to the
    step of the same class."""

    operations: ClassVar[tuple[int, int]]
    """Multiplications and additions per neuron and step, without synapses."""

    analog: ClassVar[tuple[str, ...]] = ()
    """Names of the synapses that see currents instead of spikes, and so multiply."""

    dynamics: ClassVar[tuple[str, ...]] = ("threshold",)
    threshold: Tensor

    def __init__(
        self,
        inputs: int,
        hidden: int,
        kernel: int | None = None,
        *,
        signed: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        surrogate: Surrogate | None = None,
        **given: Any,
    ) -> None:
        super().__init__()
        if min(inputs, hidden) < 1:
            raise ValueError(f"inputs, hidden: expected at least 1, got {inputs}, {hidden}")
        if kernel is not None and (kernel < 1 or kernel % 2 == 0):
            raise ValueError(f"kernel: expected an odd number, or None for dense, got {kernel}")
        if not threshold > 0:
            raise ValueError(f"threshold: expected a positive number, got {threshold}")
        if surrogate is not None and surrogate.derived:
            raise ValueError(f"surrogate: a width that is {surrogate.derived!r} needs a Neuron")
        self.channels, self.hidden, self.kernel, self.signed = inputs, hidden, kernel, signed
        value = torch.full((1,), float(threshold))
        self.threshold = nn.Parameter(value) if learn_threshold else nn.Buffer(value)
        self.spike = ArcTan(WINDOW, scale=WINDOW) if surrogate is None else copy.deepcopy(surrogate)
        self.inputs = TimeDistributed(self.synapses(inputs, self.from_input))
        self.recurrent = self.synapses(hidden, self.from_spikes, bias=False)
        self._granularity = (hidden,) if kernel is None else (hidden, 1, 1)
        for name in given.keys() - self.declared:
            raise TypeError(str(unknown(type(self).__name__, name, self.declared)))
        for name in self.declared:
            self.start(name, given.get(name))
        self.declare()
        self.reset_parameters()

    def synapses(self, inputs: int, kernels: int = 1, *, bias: bool = True) -> Synapses:
        """Weights from `inputs` channels to `kernels` pre-activations of each neuron."""
        outputs = kernels * self.hidden
        if self.kernel is None:
            return nn.Linear(inputs, outputs, bias)
        return nn.Conv2d(inputs, outputs, self.kernel, padding=self.kernel // 2, bias=bias)

    def declare(self) -> None:
        """Create the weights that the equation needs besides `inputs` and `recurrent`."""

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw weights and biases again."""
        bound = self.hidden**-0.5
        for module in self.modules():
            if isinstance(module, Synapses):
                for parameter in module.parameters():
                    parameter.uniform_(-bound, bound)

    def step(self, *given: Tensor) -> tuple[Tensor, ...]:
        """One timestep: `(*inputs, s, i, v) -> (spikes, s, i, v)`."""
        raise NotImplementedError(f"{type(self).__name__} does not define its step")

    def signals(self, x: Tensor) -> Sequences:
        """The inputs of all steps without what comes back, from the stacked ones."""
        return x.chunk(self.from_input, 2)

    def totals(self, now: Sequence[Tensor], s: Tensor, i: Tensor) -> list[Tensor]:
        """The inputs of one step, with what comes back. For the plain loop: it calls modules."""
        back = self.recurrent(s).chunk(self.from_spikes, 1)
        return [x if k is None else x + back[k] for x, k in zip(now, self.back, strict=True)]

    def linked(self, signals: Sequences) -> tuple[Sequences, Feedback, Onward | None]:
        """The same for a kernel: `inputs`, `feedback` and `onward` of `scan`, of dense weights."""
        weights = self.recurrent.weight.chunk(self.from_spikes)
        return signals, [None if k is None else weights[k].t() for k in self.back], None

    def fire(self, s: Tensor, i: Tensor, v: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """Charge the membrane, `v[t] = z v[t-1] + (1 - z) i[t] - th s[t-1]`, and spike."""
        v = torch.lerp(i, v, z.to(i.dtype)) - self.threshold * s
        s = self.spike(v - self.threshold)
        if self.signed:
            s = s - self.spike(-v - self.threshold)
        return s, s, i, v

    def forward(self, x: Tensor, state: State | None = None, *, return_state: bool = False) -> Any:
        (spikes,), final, _ = self._run(x, state)
        return (spikes, final) if return_state else spikes

    def record(self, x: Tensor, state: State | None = None) -> dict[str, Tensor]:
        """Spikes, `i` and `v` over time, by name, each `(T, B, hidden[, H, W])`."""
        (spikes,), _, (_, i, v) = self._run(x, state, record=True)
        return {"spikes": spikes, "i": i, "v": v}

    def _run(
        self, x: Tensor, state: State | None, record: bool = False
    ) -> tuple[Sequences, State, Sequences]:
        """The scan: by a kernel, or in a plain loop."""
        self._check_input(x)
        currents = self.inputs(x)
        if state is None:
            state = (self.threshold.new_zeros(x.shape[1], self.hidden, *x.shape[3:]),) * 3
        else:
            like = currents[0, :, : self.hidden]
            state = check_state(state, ("s", "i", "v"), like, currents.dtype)
        if not self._elementwise():
            return scan_reference(self.step, (currents,), state, record)
        wide = torch.promote_types(currents.dtype, state[0].dtype)
        if self._has_kernel(currents.device, wide):
            inputs, feedback, onward = self.linked(self.signals(currents.to(wide)))
            return scan(self, inputs, state, feedback=feedback, onward=onward, record=record)
        return scan_reference(self._weighted, self.signals(currents), state, record)

    def _elementwise(self) -> bool:
        """Whether the step comes after the weights of the spikes: its class has a `back`."""
        owner = next(cls for cls in type(self).__mro__ if {"step", "back"} & vars(cls).keys())
        return "back" in vars(owner)

    def _weighted(self, *given: Tensor) -> tuple[Tensor, ...]:
        """One timestep, the weights of the spikes applied by their modules."""
        *now, s, i, v = given
        return self.step(*self.totals(now, s, i), s, i, v)

    def _has_kernel(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether a kernel applies the weights of the spikes too. They have to be dense, and their
        modules neither replaced nor watched by hooks."""
        parts = [self.recurrent, *(getattr(self, name) for name in self.analog)]
        dense = all(type(part).forward is nn.Linear.forward for part in parts)
        kernels = device.type == "cpu" and dtype in (torch.float32, torch.float64)
        return dense and kernels and not any(has_hooks(part) for part in parts)

    def _check_input(self, x: Tensor) -> None:
        dense = self.kernel is None
        if x.ndim != (3 if dense else 5) or x.shape[2] != self.channels or x.shape[0] == 0:
            expected = f"(T, B, {self.channels}{'' if dense else ', H, W'})"
            raise ValueError(f"x: expected {expected}, T >= 1, got {tuple(x.shape)}")

    def extra_repr(self) -> str:
        own = f"signed={self.signed}, threshold={self.threshold.item():g}"
        return ", ".join(filter(None, (own, self.shown())))


CellFactory = Callable[[int, int, int | None], GatedCell]
"""Makes a cell from `inputs`, `hidden` and `kernel`. Every cell class is one; options go through
`functools.partial(SpikGRU2, signed=True)`."""
