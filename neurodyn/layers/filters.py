"""Causal filters over time, in two forms: as a convolution, and by a Fourier transform."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SPECTRAL = 16
"""From this many lags and steps on, the Fourier form takes less time between dense channels."""
PIECE = 4
"""Length of a piece of the sequence, in orders. A longer one spends more on the transform, a
shorter one more on the lags that it shares with its neighbour."""


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
