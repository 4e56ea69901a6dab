"""GatedNet: the network of the spiking GRU family."""

from __future__ import annotations

import math

from torch import nn

from neurodyn.layers import CSGRU, AvgPool2d, CellFactory, TimeDistributed
from neurodyn.models.blocks import Shape, SpikingNetwork


class GatedNet(SpikingNetwork):
    """Gated cells, the spatial mean of their spikes, a linear layer (Abdennadher et al.,
    arXiv:2510.25696): `(T, B, *shape)` in, `(T, B, classes)` out. The paper's read-out is
    `LeakyMax`.

    Args:
        cell: makes each layer from its inputs, `hidden` and `kernel`.
        shape: of one step of one sample.
        classes: number of outputs.
        hidden: `C_h`, the number of neurons per layer, or of channels with a `kernel`.
        layers: number of cells, one behind the other; one in the paper.
        kernel: side of the kernels; None for dense layers, which get each step flattened.
        maps: reads a step that is a row of channels as maps `(C, H, W)`: `(7, 10, 10)` for the 700
            channels of SHD, as in the paper.
        pool: side of the squares over which the input is summed. Counts of events stay counts. (The
            paper halves SHD by a strided convolution over time and space.)
    """

    def __init__(
        self,
        cell: CellFactory = CSGRU,
        shape: tuple[int, ...] = (2, 34, 34),
        classes: int = 10,
        hidden: int = 128,
        layers: int = 1,
        kernel: int | None = 3,
        maps: Shape | None = None,
        pool: int = 1,
    ) -> None:
        super().__init__(shape)
        if layers < 1:
            raise ValueError(f"layers: expected at least 1, got {layers}")
        body = nn.Sequential()
        step = tuple(shape)
        if maps is not None:
            if math.prod(maps) != math.prod(step):
                raise ValueError(
                    f"maps: expected as many values as {step}, got {tuple(maps)}; maps=None and "
                    "kernel=None take rows as they are"
                )
            body.extend([nn.Flatten(2), nn.Unflatten(2, tuple(maps))])
            step = tuple(maps)
        if len(step) != 3 and (kernel is not None or pool > 1):
            raise ValueError(
                f"shape: expected (C, H, W) for kernels and pooling, got {step}; maps=(C, H, W) "
                "reads a row as maps, kernel=None makes dense layers"
            )
        if not 1 <= pool <= min(step[1:], default=1):
            raise ValueError(f"pool: expected a side from 1 that fits into {step}, got {pool}")
        if pool > 1:
            channels, height, width = step
            step = (channels, height // pool, width // pool)
            body.append(TimeDistributed(AvgPool2d(pool, divisor_override=1)))
        if kernel is None:
            body.append(nn.Flatten(2))
            step = (math.prod(step),)
        for i in range(layers):
            body.append(cell(step[0] if i == 0 else hidden, hidden, kernel))
        if kernel is not None:
            body.append(TimeDistributed(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        self.body = body
        self.head = TimeDistributed(nn.Linear(hidden, classes))
