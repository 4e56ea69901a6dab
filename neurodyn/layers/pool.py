"""Average pooling of 2x2 in less time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.scan.op import direct
from neurodyn.step.torch_private import is_batched, is_zero


class AvgPool2d(nn.AvgPool2d):
    """`nn.AvgPool2d` with a faster way to pool 2x2 on the CPU.

    It is for maps that are not channels-last. The results are equal except for rounding; sums of
    spikes are exact. Other settings, dtypes and devices, and compiled code, run PyTorch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self._pools_pairs(x):
            return super().forward(x)
        pooled: Tensor = _Halve.apply(x, 1 / (self.divisor_override or 4))  # type: ignore[no-untyped-call]
        return pooled

    def _pools_pairs(self, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and self.kernel_size in (2, (2, 2))
            and self.stride in (2, (2, 2))
            and self.padding in (0, (0, 0))
            and x.ndim == 4
            and x.device.type == "cpu"
            and x.dtype in (torch.float32, torch.float64)
            and x.is_contiguous()
            and x.shape[2] % 2 == x.shape[3] % 2 == 0
            and x.numel() > 0
        )


def _has_kernel(x: Tensor) -> bool:
    return direct(x) and not (is_batched(x) or x.is_neg() or is_zero(x))


class _Linear(torch.autograd.Function):
    """A linear map `(x, scale)` , differentiable as often as one likes."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.scale = inputs[1]


class _Halve(_Linear):
    """Sums of 2x2, scaled."""

    @staticmethod
    def forward(x: Tensor, scale: float) -> Tensor:
        if _has_kernel(x):
            from neurodyn.scan.cpu import pairs

            return pairs.halved(x.detach().contiguous(), scale)
        # Rows first: they are long, and leave half for the slower step.
        upper, lower = x.unflatten(2, (-1, 2)).unbind(3)
        left, right = (upper + lower).unflatten(3, (-1, 2)).unbind(4)
        halved: Tensor = (left + right).mul_(scale)
        return halved

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Double.apply(grad, ctx.scale), None  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, x: Tensor, _: None) -> Tensor:
        return _Halve.forward(x, ctx.scale)


class _Double(_Linear):
    """Each element four times, as a square, scaled."""

    @staticmethod
    def forward(x: Tensor, scale: float) -> Tensor:
        if _has_kernel(x):
            from neurodyn.scan.cpu import pairs

            return pairs.doubled(x.detach().contiguous(), scale)
        maps, (height, width) = x.shape[:2], x.shape[2:]
        scaled = (x * scale).contiguous()
        # Complex numbers are pairs: the fastest way to write each number twice.
        twins = torch.view_as_real(torch.complex(scaled, scaled))
        row = twins.reshape(*maps, height, 2 * width)
        return torch.cat((row, row), 3).reshape(*maps, 2 * height, 2 * width)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Halve.apply(grad, ctx.scale), None  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, x: Tensor, _: None) -> Tensor:
        return _Double.forward(x, ctx.scale)
