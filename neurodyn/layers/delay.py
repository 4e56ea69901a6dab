"""Delays: a line of past inputs in front of a neuron, and synapses with learned delays."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neurodyn.errors import not_over_time, unknown
from neurodyn.layers.filters import (
    SPECTRAL,
    causal_filter,
    delayed_beside,
    spectral_filter,
    with_past,
)
from neurodyn.neurons import LIF, NeuronFactory, SpikingLayer, Stateful

State = tuple[Tensor, ...]
Features = int | tuple[int, ...]


def _past(x: Tensor, state: State | None, order: int) -> Tensor | None:
    """The `order - 1` inputs before a sequence; None are zeros."""
    if x.shape[0] == 0:
        raise ValueError(f"x: expected at least one timestep, got T=0 in {tuple(x.shape)}")
    if state is None:
        return None
    shape = (order - 1, *x.shape[1:])
    if state[0].shape != shape:
        raise ValueError(f"state: expected the last inputs, {shape}, got {tuple(state[0].shape)}")
    return state[0]


def _last(x: Tensor, past: Tensor | None, order: int) -> Tensor:
    """The last `order - 1` inputs."""
    if x.shape[0] >= order - 1:
        return x[x.shape[0] - order + 1 :]
    return with_past(x, past, order)[x.shape[0] :]


class DelayLine(Stateful):
    """A weighted sum of each neuron's last inputs (Karilanova et al., arXiv:2512.01906):

        d[t][0] = I[t];   d[t][k] = a[k] d[t-1][k-1]    k = 1 .. order - 1, d starts at 0
        D[t] = sum_k M[k] d[t][k]

    Lag 0 counts, so an order of 1 is a gain. A sequence is computed as a causal filter of each
    channel, with the kernel `M[k] a[1] ... a[k]`. `step` gives the same as a shift register.

    Args:
        features: shape of one step without its batch.
        order: `n_d`, the number of lags, >= 1.
        weights: the start of `M`, `(order, *features)`: `"uniform"` in [0, 1), `"ones"`,
            `"exponential"` `exp(-k / 2)`, or `"linear"` `(order - k) / order`.
        learn: train `M`.
        learn_shift: also train the coefficients `a`, `(order - 1, *features)`. They start at 1; the
            paper keeps them there.

    The state is the last `order - 1` inputs, oldest first. Half-precision inputs are filtered in
    float32.
    """

    dynamics: ClassVar[tuple[str, ...]] = ("M", "a")

    def __init__(
        self,
        features: Features,
        order: int,
        *,
        weights: Literal["uniform", "ones", "exponential", "linear"] = "uniform",
        learn: bool = True,
        learn_shift: bool = False,
    ) -> None:
        super().__init__()
        self.features = (features,) if isinstance(features, int) else tuple(features)
        if order < 1:
            raise ValueError(f"order: expected at least 1 (lag 0 alone), got {order}")
        if min(self.features) < 1:
            raise ValueError(f"features: expected the shape of one step, got {self.features}")
        self.order = order
        start = self._start(weights)
        self.M: Tensor = nn.Parameter(start) if learn else nn.Buffer(start)
        self.a = nn.Parameter(torch.ones(order - 1, *self.features)) if learn_shift else None

    def _start(self, weights: str) -> Tensor:
        shape = (self.order, *self.features)
        if weights == "uniform":
            return torch.rand(shape)
        k = torch.arange(self.order, dtype=torch.float32)
        rows = {
            "ones": torch.ones(self.order),
            "exponential": torch.exp(-k / 2),
            "linear": (self.order - k) / self.order,
        }
        if weights not in rows:
            raise unknown("weights", weights, ("uniform", *rows))
        return rows[weights].reshape(-1, *(1 for _ in self.features)).expand(shape).clone()

    @property
    def operations(self) -> tuple[int, int]:
        """Multiplications and additions per neuron and step."""
        return self.order, self.order

    @property
    def kernel(self) -> Tensor:
        """The filter `(order, *features)`, lag 0 first."""
        if self.a is None:
            return self.M
        return self.M * torch.cat([torch.ones_like(self.M[:1]), self.a.cumprod(0)])

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One step `(B, *features)` of the shift register: shifted first, then read."""
        line = torch.cat([past, x.unsqueeze(0)])
        return (self.kernel.flip(0).unsqueeze(1) * line).sum(0), line[1:]

    def forward(self, x: Tensor, state: State | None = None, *, return_state: bool = False) -> Any:
        delayed, _, state = self.beside(x, state)
        return (delayed, state) if return_state else delayed

    def beside(self, x: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """What `forward` gives, with the sequence in the middle, for one reader of both: its two
        gradients are added by the line's kernel."""
        if x.ndim < 3 or x.shape[2:] != torch.Size(self.features):
            raise not_over_time(self.features, x.shape)
        past = _past(x, state, self.order)
        delayed, x = delayed_beside(x, past, self.kernel)
        return delayed, x, (_last(x, past, self.order),)

    def extra_repr(self) -> str:
        learned = [name for name in self.dynamics if isinstance(getattr(self, name), nn.Parameter)]
        return f"order={self.order}, learned: {', '.join(learned) or 'nothing'}"


class Delayed(SpikingLayer):
    """A neuron with a delay line. The line's output `D` is added to the charged membrane, past the
    neuron's own scaling of its input (arXiv:2512.01906). With the paper's LIF, `DecayLIF`:

        u[t] = alpha (u[t-1] - s[t-1]) + (1 - alpha) I[t] + D[t]

    No reset acts on the line. With `neuron=Recurrent`, as in the paper, the line holds only inputs
    from the layer below. `Recurrent` refuses a `Delayed`, as the layer's own
    spikes would be delayed too.

    Args:
        features: shape of one step without its batch.
        neuron: makes the neuron.
        order: `n_d` of `DelayLine`, counting lag 0; 0 is the neuron without a line.
        weights, learn, learn_shift: as for `DelayLine`.
    """

    def __init__(
        self,
        features: Features,
        *,
        neuron: NeuronFactory = LIF,
        order: int = 10,
        weights: Literal["uniform", "ones", "exponential", "linear"] = "uniform",
        learn: bool = True,
        learn_shift: bool = False,
    ) -> None:
        super().__init__()
        shape = (features,) if isinstance(features, int) else features
        self.neuron = neuron(shape)
        self.line = None
        if order != 0:
            self.line = DelayLine(
                shape, order, weights=weights, learn=learn, learn_shift=learn_shift
            )

    @property
    def threshold(self) -> Tensor:  # type: ignore[override]
        """The neuron's threshold."""
        return self.neuron.threshold

    def forward(
        self, x: Tensor, state: tuple[Any, Any] | None = None, *, return_state: bool = False
    ) -> Any:
        past, inner = (None, None) if state is None else state
        if self.line is None:
            spikes, inner = self.neuron(x, inner, return_state=True)
        else:
            drive, x, past = self.line.beside(x, past)
            spikes, inner = self.neuron(x, inner, drive=drive, return_state=True)
        return (spikes, (past, inner)) if return_state else spikes


class LearnedDelays(Stateful):
    """Dense synapses without bias, each with a weight and a learned delay (Hammouamri et al., ICLR
    2024, by dilated convolution with learnable spacings):

        y[t][o] = sum_i sum_k W[o, i] K(k - p[o, i]) x[t-k][i]      sum_k K = 1

    `K` starts as a wide window around the position `p`, so that gradients reach far before delays
    settle. Its width falls exponentially, from half the order to `width` within `shrink` training
    calls. After that, and in evaluation, each synapse has the single delay `round(p)`; positions
    still learn by the window's gradient. This is our reading: the paper trains with the window to
    the end and rounds for evaluation, which costs accuracy where single spikes matter.

    Args:
        inputs, outputs: number of channels before and after.
        order: delays go from 0 to `order - 1` steps.
        window: `"gaussian"`, of standard deviation `width`, or `"triangle"`, of half-width
            `2 width`.
        width: the final width, in steps; .5 in the paper.
        shrink: training calls until the width is final; a quarter of the training in the paper.

    The state is the last `order - 1` inputs, oldest first.
    """

    dynamics: ClassVar[tuple[str, ...]] = ("position",)
    calls: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        order: int,
        *,
        window: Literal["gaussian", "triangle"] = "gaussian",
        width: float = 0.5,
        shrink: int = 1000,
    ) -> None:
        super().__init__()
        if order < 1:
            raise ValueError(f"order: expected at least 1 (no delay), got {order}")
        if window not in ("gaussian", "triangle"):
            raise unknown("window", window, ("gaussian", "triangle"))
        if width < 0.5:
            raise ValueError(f"width: expected at least .5, half a step, got {width}")
        if shrink < 1:
            raise ValueError(f"shrink: expected at least one call, got {shrink}")
        self.order, self.window, self.shrink = order, window, shrink
        self.widths = max(order / 2, width), width
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Linear
        self.position = nn.Parameter((order - 1) * torch.rand(outputs, inputs))
        self.register_buffer("calls", torch.zeros(()))

    @property
    def width(self) -> Tensor:
        """The window's width now."""
        first, last = self.widths
        return first * (last / first) ** (self.calls / self.shrink).clamp(max=1)

    def kernel(self) -> Tensor:
        """The synapses' filters `(outputs, inputs, order)`, lag 0 first."""
        # Lag by lag in memory, as short rows are slow.
        k = torch.arange(self.order, device=self.position.device).view(-1, 1, 1)
        p = self.position.clamp(0, self.order - 1)
        whole = (k == p.round()).to(p.dtype)
        if self.training:
            z = (k - p) / self.width
            window = torch.exp(-z * z / 2) if self.window == "gaussian" else F.relu(1 - z.abs() / 2)
            window = window / window.sum(0)
            settled = whole + window - window.detach()
            whole = torch.where(self.calls < self.shrink, window, settled)
        return (self.weight * whole).permute(1, 2, 0)

    def forward(self, x: Tensor, state: State | None = None, *, return_state: bool = False) -> Any:
        inputs = self.weight.shape[1]
        if x.ndim != 3 or x.shape[2] != inputs:
            raise not_over_time((inputs,), x.shape)
        if self.training:
            with torch.no_grad():
                # Beyond the ends no gradient would bring a delay back.
                self.position.clamp_(0, self.order - 1)
        line = with_past(x, _past(x, state, self.order), self.order)
        delayed = self._filter(line, self.kernel())
        if self.training:
            # A new tensor, as compiled code reads the old one again in its backward pass.
            self.calls = self.calls + 1
        return (delayed, (line[x.shape[0] :],)) if return_state else delayed

    def _filter(self, line: Tensor, kernel: Tensor) -> Tensor:
        """In evaluation lag by lag, so that no output depends on what comes later, not even by
        rounding, and chunks of any length do the same arithmetic."""
        wide, device = torch.promote_types(line.dtype, kernel.dtype), line.device.type
        long = min(len(line) - self.order + 1, self.order) >= SPECTRAL
        precise = wide in (torch.float32, torch.float64) and not torch.is_autocast_enabled(device)
        if self.training and long and precise:
            return spectral_filter(line.to(wide), kernel.to(wide))
        return causal_filter(line, kernel)

    def extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, order={self.order}, window={self.window}"
