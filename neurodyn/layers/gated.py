"""The spiking GRU family: the equations of gated cells, dense or convolutional."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from neurodyn.layers.gated_cell import GatedCell
from neurodyn.learned import Learned
from neurodyn.scan.links import Feedback, Onward
from neurodyn.scan.reference import Sequences

DECAY = partial(Learned, 0.9, "share that a step keeps", low=0.0, high=1.0, link="clamp")


class RecurrentCubaLIF(GatedCell):
    """Cuba-LIF with recurrence, the family's only cell without a gate:

        i[t] = alpha i[t-1] + W x[t] + U s[t-1] + b
        v[t] = beta v[t-1] + (1 - beta) i[t] - th s[t-1];   s[t] = H(v[t] - th)

    `beta` is learned as well as `alpha`, which is our reading. Takes the options of `GatedCell`.
    """

    from_input = from_spikes = 1
    back = (0,)
    operations = (2, 2)  # 1 - beta is folded into the weights
    dynamics = ("raw_alpha", "raw_beta", "threshold")
    alpha, beta = DECAY(), DECAY()

    def step(  # type: ignore[override]
        self, x: Tensor, s: Tensor, i: Tensor, v: Tensor
    ) -> tuple[Tensor, ...]:
        return self.fire(s, self.alpha * i + x, v, self.beta)


class SpikGRU(GatedCell):
    """The membrane's decay is a gate:

        i[t] = alpha i[t-1] + W_i x[t] + U_i s[t-1] + b_i
        z[t] = sigmoid(W_z x[t] + U_z s[t-1] + b_z)
        v[t] = z[t] v[t-1] + (1 - z[t]) i[t] - th s[t-1];   s[t] = H(v[t] - th)

    Stacked weights of input and spikes: i, z. Takes the options of `GatedCell`.
    """

    from_input = from_spikes = 2
    back = (0, 1)
    operations = (2, 3)
    dynamics = ("raw_alpha", "threshold")
    alpha = DECAY()

    def step(  # type: ignore[override]
        self, drive: Tensor, z: Tensor, s: Tensor, i: Tensor, v: Tensor
    ) -> tuple[Tensor, ...]:
        return self.fire(s, self.alpha * i + drive, v, torch.sigmoid(z))


class SpikGRU2(GatedCell):
    """`SpikGRU` with a gate on the spikes that come back:

        r[t] = sigmoid(W_r x[t] + U_r s[t-1] + b_r)
        i[t] = alpha i[t-1] + W_i x[t] + r[t] (U_i s[t-1] + b_u) + b_i
        z[t] = sigmoid(W_z x[t] + U_z s[t-1] + b_z)
        v[t] = z[t] v[t-1] + (1 - z[t]) i[t] - th s[t-1];   s[t] = H(v[t] - th)

    Stacked weights of input and spikes: i, z, r. With `signed=True` this is SpikGRU2+. Takes the
    options of `GatedCell`.
    """

    from_input = from_spikes = 3
    back = (None, 1, 2, 0)
    operations = (3, 4)
    dynamics = ("raw_alpha", "b_u", "threshold")
    alpha = DECAY()

    def declare(self) -> None:
        self.b_u = nn.Parameter(torch.zeros(self._granularity))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.b_u.uniform_(-(self.hidden**-0.5), self.hidden**-0.5)

    def signals(self, x: Tensor) -> Sequences:
        """Those of the input, and `b_u` for the spikes alone."""
        drive, z, r = super().signals(x)
        return drive, z, r, self.b_u.expand_as(drive)

    def step(  # type: ignore[override]
        self,
        drive: Tensor,
        z: Tensor,
        r: Tensor,
        returned: Tensor,
        s: Tensor,
        i: Tensor,
        v: Tensor,
    ) -> tuple[Tensor, ...]:
        i = self.alpha * i + drive + torch.sigmoid(r) * returned
        return self.fire(s, i, v, torch.sigmoid(z))


class CSGRU(GatedCell):
    """CS-GRU: the current's decay is a gate, and the membrane's gate sees the current:

        r[t] = sigmoid(K_r x[t] + K_ur s[t-1] + b_r)
        i[t] = r[t] i[t-1] + K_i x[t] + K_ui s[t-1] + b_i
        z[t] = sigmoid(K_z i[t] + K_uz s[t-1] + b_z)
        v[t] = z[t] v[t-1] + (1 - z[t]) i[t] - th s[t-1];   s[t] = H(v[t] - th)

    Stacked weights: r, i of the input; r, i, z of spikes; z of the current (`gate`). `K_r` and
    `K_ur` start as in PyTorch's layers. With 3x3 kernels it has `18 C_in C_h + 36 C_h^2 + 3 C_h`
    parameters. Takes the options of `GatedCell`.
    """

    from_input, from_spikes = 2, 3
    back = (0, 1, 2)
    operations = (2, 3)
    analog = ("gate",)

    def declare(self) -> None:
        self.gate = self.synapses(self.hidden)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        for weight in (next(self.inputs.parameters()), self.recurrent.weight):
            kernel = weight[: self.hidden]
            bound = kernel[0].numel() ** -0.5
            kernel.uniform_(-bound, bound)

    def signals(self, x: Tensor) -> Sequences:
        """Those of the input, and nothing for the gate that sees the current."""
        r, drive = super().signals(x)
        return r, drive, drive.new_zeros(()).expand_as(drive)

    def totals(self, now: Sequence[Tensor], s: Tensor, i: Tensor) -> list[Tensor]:
        """With what the gate makes of the current."""
        r, drive, z = super().totals(now, s, i)
        return [r, drive, z + self.gate(self.current(r, drive, i))]

    def linked(self, signals: Sequences) -> tuple[Sequences, Feedback, Onward | None]:
        """With the gate's bias as its input, and the current going onward through its weights."""
        (r, drive, z), feedback, _ = super().linked(signals)
        bias = self.gate.bias
        z = z if bias is None else bias.expand_as(z)
        return (r, drive, z), feedback, (1, 2, self.gate.weight.t())

    def current(self, r: Tensor, drive: Tensor, i: Tensor) -> Tensor:
        """`i[t]`."""
        return torch.sigmoid(r) * i + drive

    def step(  # type: ignore[override]
        self, r: Tensor, drive: Tensor, z: Tensor, s: Tensor, i: Tensor, v: Tensor
    ) -> tuple[Tensor, ...]:
        return self.fire(s, self.current(r, drive, i), v, torch.sigmoid(z))
