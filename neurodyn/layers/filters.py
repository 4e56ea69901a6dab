"""Causal filters over time: as a convolution, by a Fourier transform, and by a kernel.

`causal_filter` is the truth that the other two are tested against. `spectral_filter` is for dense
channels, `delay_filter` for channels each by itself.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from neurodyn.scan.op import direct
from neurodyn.step.torch_private import is_batched, is_zero

SPECTRAL = 16
"""From this many lags and steps on, the Fourier form takes less time between dense channels."""
PIECE = 4
"""Length of a piece of the sequence, in orders. A longer one spends more on the transform, a
shorter one more on the lags that it shares with its neighbour."""

LONGEST = 64
"""Up to this many lags have a kernel: its length, and the time to compile it, grow with them."""


def with_past(x: Tensor, past: Tensor | None, order: int) -> Tensor:
    """The sequence, with the `order - 1` steps before it in front; zeros if `past` is None."""
    if past is None:
        past = x.new_zeros(order - 1, *x.shape[1:])
    return torch.cat([past, x])


def causal_filter(line: Tensor, kernel: Tensor, groups: int = 1) -> Tensor:
    """A causal convolution, `y[t] = sum_k kernel[..., k] line[t + K - 1 - k]`. The line is the
    sequence, with the K - 1 steps before it in front.

    Args:
        line: `(K - 1 + T, B, inputs)`.
        kernel: `(outputs, inputs / groups, K)`, lag 0 first.
        groups: `inputs` gives each channel its own filter.

    Returns:
        `(T, B, outputs)`.
    """
    wide = torch.promote_types(line.dtype, kernel.dtype)
    # Seen as an image of T rows and B columns, channels last, so that nothing moves in memory.
    image = line.to(wide).unsqueeze(0).permute(0, 3, 1, 2)
    filtered = F.conv2d(image, kernel.to(wide).flip(-1).unsqueeze(-1), groups=groups)
    return filtered.permute(0, 2, 3, 1).squeeze(0)


def spectral_filter(line: Tensor, kernel: Tensor) -> Tensor:
    """`causal_filter` of dense channels with fewer multiplications: a product per frequency instead
    of one per lag.

    A piece of L outputs depends on N = L + K - 1 steps. Its Fourier transform over these has
    N / 2 + 1 frequencies. A frequency costs four real products of all channels, so all together
    cost 2 (L + K - 1) of them, where the lags cost L K. The transforms are products with the
    matrices of cosines and sines. Rounding lets later steps into earlier ones, as they are summed
    together.
    """
    K, (_, B, inputs), outputs = kernel.shape[-1], line.shape, kernel.shape[0]
    T = len(line) - K + 1
    length = -(-T // -(-T // (PIECE * K)))
    N = length + K - 1
    cos, sin, back_cos, back_sin = _fourier(N, line)
    lags = kernel.permute(2, 0, 1).reshape(K, -1)
    a, b = ((wave[:, :K] @ lags).view(-1, outputs, inputs).mT for wave in (cos, sin))
    filtered = []
    for start in range(0, T, length):
        piece = line[start : start + N].reshape(-1, B * inputs)
        n = len(piece)  # The last piece may be shorter: zeros would follow.
        c, d = ((wave[:, :n] @ piece).view(-1, B, inputs) for wave in (cos, sin))
        # (a - i b) (c - i d), and back at the steps that no wrapped lag has reached.
        real = torch.baddbmm(torch.bmm(c, a), d, b, alpha=-1).flatten(1)
        imaginary = torch.baddbmm(torch.bmm(c, b), d, a).flatten(1)
        steps = torch.addmm(back_cos[K - 1 : n] @ real, back_sin[K - 1 : n], imaginary)
        filtered.append(steps.view(-1, B, outputs))
    return torch.cat(filtered)


def _fourier(N: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cosines and sines `(frequencies, N)`, and those that lead back, `(N, frequencies)`."""
    steps = torch.arange(N, dtype=torch.float64, device=like.device)
    frequencies = steps[: N // 2 + 1]
    angles = torch.outer(frequencies, steps).remainder(N) * (2 * math.pi / N)
    # All frequencies appear twice, except for 0 and, if N is even, N / 2.
    once = (frequencies == 0) | (2 * frequencies == N)
    scale = (2 - once.double()).unsqueeze(1) / N
    waves = angles.cos(), angles.sin()
    cos, sin, back_cos, back_sin = (
        wave.to(like.dtype) for wave in (*waves, *(scale * wave for wave in waves))
    )
    return cos, sin, back_cos.t(), back_sin.t()


def delay_filter(x: Tensor, past: Tensor | None, taps: Tensor) -> Tensor:
    """`y[t] = sum_k taps[k] x[t - k]`, every element of a step by itself.

    On the CPU a kernel reads and writes each sequence once. It runs for up to `LONGEST` lags in
    float32 and float64, but not in compiled or transformed code, under autocast, or for a past
    that has a gradient.

    Args:
        x: `(T, B, *features)`.
        past: the K - 1 steps before it; None are zeros.
        taps: `(K, *features)`.
    """
    return delayed_beside(x, past, taps)[0]


def delayed_beside(x: Tensor, past: Tensor | None, taps: Tensor) -> tuple[Tensor, Tensor]:
    """`delay_filter` and the sequence itself, for one reader of both: the kernel then adds the two
    gradients of the sequence."""
    wide = torch.promote_types(x.dtype, taps.dtype)
    wide_x, taps = x.to(wide), taps.to(wide)
    if not _has_kernel(wide_x, past, taps):
        return _by_convolution(wide_x, past, taps), x
    past = past if past is None else past.to(wide)
    filtered, beside = _Lags.apply(wide_x, past, taps)  # type: ignore[no-untyped-call]
    return filtered, beside if x.requires_grad and wide == x.dtype else x


def _by_convolution(x: Tensor, past: Tensor | None, taps: Tensor) -> Tensor:
    line, kernel = with_past(x, past, len(taps)).flatten(2), taps.flatten(1).t().unsqueeze(1)
    return causal_filter(line, kernel, groups=len(kernel)).reshape(x.shape)


def _has_kernel(x: Tensor, past: Tensor | None, taps: Tensor) -> bool:
    return (
        direct(x, past, taps)
        and x.dtype in (torch.float32, torch.float64)
        and len(taps) <= LONGEST
        and x.numel() > 0
        and not (past is not None and past.requires_grad)
        and not torch.is_autocast_enabled("cpu")
    )


class _Lags(torch.autograd.Function):
    """`delayed_beside` by kernels. A second derivative goes through the convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, past: Tensor | None, taps: Tensor) -> tuple[Tensor, Tensor]:
        from neurodyn.scan.cpu import lags

        ctx.save_for_backward(x, past, taps)
        ctx.set_materialize_grads(False)
        return lags.filtered(_rows(x, past, len(taps)), taps, x.shape), x

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, beside: Tensor | None) -> tuple[Tensor | None, ...]:
        from neurodyn.scan.cpu import lags

        x, past, taps = ctx.saved_tensors
        if grad is None:
            return beside, None, None
        wanted = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        if torch.is_grad_enabled() or any(g is not None and is_batched(g) for g in (grad, beside)):
            return _again(grad, beside, x, past, taps, wanted)
        added = beside if beside is None else _dense(beside)
        rows = _rows(x, past, len(taps))
        grad_x, grad_taps = lags.gradients(rows, taps, _dense(grad), added, wanted)
        return grad_x, None, grad_taps


def _again(
    grad: Tensor,
    beside: Tensor | None,
    x: Tensor,
    past: Tensor | None,
    taps: Tensor,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, ...]:
    """The gradients as functions that have a gradient themselves, or for a batch of gradients."""
    given, further = (x, taps), torch.is_grad_enabled()
    with torch.enable_grad():
        y = _by_convolution(x, past, taps)
    leaves = [t for t, want in zip(given, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(y, leaves, grad, create_graph=further))
    grad_x, grad_taps = (next(found) if want else None for want in wanted)
    if grad_x is not None and beside is not None:
        grad_x = grad_x + beside
    return grad_x, None, grad_taps


def _rows(x: Tensor, past: Tensor | None, order: int) -> Any:
    from neurodyn.scan.cpu.lags import Rows

    if past is None or order == 1:
        past = x.new_zeros(1, *x.shape[1:])
    return Rows(_dense(past), _dense(x), order - 1)


def _dense(x: Tensor) -> Tensor:
    """A sequence whose steps lie densely in memory."""
    x = torch.zeros_like(x) if is_zero(x) else x.resolve_neg()
    return x if x[0].is_contiguous() else x.contiguous()
