"""Dropout in less time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.scan.op import direct
from neurodyn.step.torch_private import is_batched


class Dropout(nn.Dropout):
    """`nn.Dropout` with a faster way on the CPU: in training each element is zero with probability
    `p`, and else divided by `1 - p`.

    A kernel reads and writes the sequence once. What is dropped follows from a few numbers of
    PyTorch's generator, so `torch.manual_seed` repeats it; it is not what `nn.Dropout` drops for
    the same seed. The kernel is for contiguous float32 and float64. Other tensors, and compiled or
    transformed code, run PyTorch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and 0 < self.p < 1 and self._has_kernel(x)):
            return super().forward(x)
        from neurodyn.scan.cpu import drop

        kept: Tensor = _Drop.apply(x, drop.keys(x), self.p)  # type: ignore[no-untyped-call]
        return x.copy_(kept) if self.inplace else kept

    def _has_kernel(self, x: Tensor) -> bool:
        floats = x.dtype in (torch.float32, torch.float64)
        return floats and x.is_contiguous() and x.numel() > 0 and direct(x)


class _Drop(torch.autograd.Function):
    """Dropout as its keys say: a linear map, which is its own derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, p: float) -> Tensor:
        from neurodyn.scan.cpu import drop

        ctx.save_for_backward(keys)
        ctx.p = p
        return drop.dropped(x.detach().resolve_neg().contiguous(), keys, p)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        from neurodyn.scan.cpu import drop

        (keys,) = ctx.saved_tensors
        if is_batched(grad):  # Many gradients at once, whose memory no kernel can read.
            factors = drop.dropped(torch.ones(grad.shape, dtype=grad.dtype), keys, ctx.p)
            return grad * factors, None, None
        return _Drop.apply(grad, keys, ctx.p), None, None  # type: ignore[no-untyped-call]
