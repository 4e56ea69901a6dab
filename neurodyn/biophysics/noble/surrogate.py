"""NOBLE: a neural operator in the place of a simulator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.biophysics.noble.embedding import FEATURES, Embedding
from neurodyn.errors import check, require

PAPER = MappingProxyType({"threshold": 1, "slope": 1, "amplitude": 9})
"""The frequencies of the paper: 23 channels with the current."""


class Surrogate(nn.Module):
    """The potential of any model of a family, from the injected current and two features of the
    model (NOBLE, Ghafourpour et al., NeurIPS 2025, arXiv:2506.04536).

    An `Embedding` makes channels of current and features. neuraloperator's one-dimensional FNO
    makes the potential of them: `layers` layers, each the sum of a product with learned weights in
    Fourier space and a pointwise map, with GELU between, no norm, and a channel MLP of half the
    width with soft gating. With the defaults, those of the paper, it has 1,803,001 parameters.

    Needs the extra `noble`.

    Args:
        modes: Fourier modes that weights act on, both signs counted.
        width: channels inside.
        layers: how many.
        embed: the frequencies of "amplitude", "slope" and "threshold"; 0 or none leaves one out.
        unit: one of the network's outputs in volts.
    """

    def __init__(
        self,
        modes: int = 256,
        width: int = 24,
        layers: int = 12,
        embed: Mapping[str, int] = PAPER,
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        for name, value in (("modes", modes), ("width", width), ("layers", layers)):
            check(name, value, 1)
        check("unit", unit, 1e-6)
        self.modes, self.unit = modes, unit
        self.shape = (1 + len(FEATURES),)
        self.embedding = Embedding(embed)
        self.settings = {
            "modes": modes,
            "width": width,
            "layers": layers,
            "embed": dict(self.embedding.frequencies),
            "unit": unit,
        }
        self.fno = require("neuralop.models", "noble").FNO(
            n_modes=(modes,),
            in_channels=self.embedding.channels,
            out_channels=1,
            hidden_channels=width,
            n_layers=layers,
            lifting_channel_ratio=2,
            projection_channel_ratio=4,
            channel_mlp_expansion=0.5,
            channel_mlp_skip="soft-gating",
            positional_embedding="grid",
        )
        for module in self.fno.modules():
            if isinstance(module, nn.Conv1d) and module.kernel_size == (1,):
                module.__class__ = Pointwise
        self.register_state_dict_post_hook(_weights_alone)

    def forward(self, x: Tensor) -> Tensor:
        """The potential [mV], `(T, B, 1)`, from `(T, B, 3)`: the current [nA], and threshold [nA]
        and slope [Hz/nA] of the model, the same at every step."""
        if x.ndim != 3 or x.shape[-1] != 1 + len(FEATURES):
            raise ValueError(f"x: expected (T, B, {1 + len(FEATURES)}), got {tuple(x.shape)}")
        if len(x) < self.modes:
            raise ValueError(
                f"x: expected at least as many points as there are modes, {self.modes}, got "
                f"{len(x)}"
            )
        volts: Tensor = self.fno(self.embedding(x)) * self.unit
        return 1000 * volts.permute(2, 0, 1)

    @torch.no_grad()
    def predict(self, current: Tensor, features: Tensor, batch: int = 64) -> Tensor:
        """The potentials [mV], `(T, traces)`.

        Args:
            current: [nA], `(T, traces)`, over the window that the surrogate was trained on, on any
                grid.
            features: threshold [nA] and slope [Hz/nA] of each trace's model, `(traces, 2)`.
            batch: traces at once.
        """
        if current.ndim != 2 or features.shape != (current.shape[1], len(FEATURES)):
            raise ValueError(
                "current, features: expected (T, traces) and (traces, 2), got "
                f"{tuple(current.shape)} and {tuple(features.shape)}"
            )
        found = []
        for some, of in zip(current.split(batch, 1), features.split(batch), strict=True):
            found.append(self(as_input(some, of))[..., 0])
        return torch.cat(found, 1)


def _weights_alone(module: nn.Module, state: Any, prefix: str, _: Any) -> None:
    """Take out what neuraloperator adds to a state: its arguments, functions among them, which a
    reader of weights alone refuses."""
    state.pop("_metadata", None)


class Pointwise(nn.Conv1d):
    """A convolution whose kernel is one point, as a product of matrices: with as few channels as
    here, that takes half the time on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight[..., 0].expand(len(input), -1, -1)
        if self.bias is None:
            return torch.bmm(weight, input)
        return torch.baddbmm(self.bias[:, None].expand(len(input), -1, 1), weight, input)


def as_input(current: Tensor, features: Tensor) -> Tensor:
    """Current `(T, B)` and features `(B, 2)` as the input of a surrogate, `(T, B, 3)`."""
    rest = features.to(current)[None].expand(len(current), -1, -1)
    return torch.cat([current[..., None], rest], -1)
