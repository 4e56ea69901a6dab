"""Linear dynamics over all steps at once.

Modes without feedback follow their input linearly, `z[t] = lambda z[t-1] + g x[t]`. The sequence is
cut into chunks of `L` steps. With `z` the modes before a chunk,

    h[l] = sum_m k[l-m] x[m] + sum_j Re(lambda_j^(l+1) z_j)     k[i] = sum_j Re(lambda_j^i g_j)
    z_j  = lambda_j^L z_j + sum_m lambda_j^(L-1-m) g_j x[m]                       after the chunk

The sums over `m` are one matrix product for all chunks. The modes at the boundaries follow from
each other in `log2(T / L)` steps. Between the boundaries no mode is ever written: memory is that of
the membrane, however many modes there are.

In here a mode is a column of `parts` real numbers, 2 if it oscillates, and what multiplies it is a
matrix. Tensors start with the groups of neurons that share their parameters.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 32
"""Steps in a chunk, at most. The products cost this many multiplications per element."""


def membrane(
    x: Tensor, state: Sequence[Tensor], rows: Sequence[Tensor], modes: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The membrane of modes over time, and their states after the last step.

    Args:
        x: the input `(T, B, *features)`.
        state: the states before it, broadcastable to a step.
        rows: what multiplies a mode, and its input: for each mode real part, then imaginary part.
        modes: their number.
    """
    T, B, groups = x.shape[0], x.shape[1], rows[0].numel()
    table = torch.stack([row.flatten() for row in rows], -1).to(x.dtype).unflatten(-1, (modes, -1))
    pole, gain = table.chunk(2, -1)
    parts = pole.shape[-1]
    L = -(-T // -(-T // CHUNK))
    chunks = -(-T // L)
    rest = T - (chunks - 1) * L  # of the last chunk

    power = _powers(pole, L + 1)
    response = _times(power[:, :L], gain.unsqueeze(1))  # of each mode to one input
    within = F.pad(response[..., 0].sum(-1), (L - 1, 0)).unfold(-1, L, 1).flip(1)
    across = response.flip(1).flatten(2)
    after = power[:, 1:, :, 0].flatten(2).transpose(1, 2)

    line = x.reshape(T, B, groups, -1).permute(2, 1, 3, 0)
    line = F.pad(line, (0, L - rest)) if rest < L else line
    start = torch.stack([u.expand(x.shape[1:]).reshape(B, groups, -1) for u in state], -1)
    start = start.transpose(0, 1).reshape(groups, -1, 1, modes, parts)
    with _full_precision(x.device.type):
        inside = line.reshape(groups, -1, L)
        h, own = (inside @ torch.cat([within, across], -1)).split([L, modes * parts], -1)
        own = own.reshape(groups, -1, chunks, modes, parts)
        before = _carried(power[:, L], torch.cat([start, own[:, :, :-1]], 2))
        h = torch.baddbmm(h, before.flatten(3).flatten(1, 2), after)
        last = inside.reshape(groups, -1, chunks, L)[:, :, -1, :rest] @ across[:, L - rest :]
    final = _times(power[:, rest].unsqueeze(1), before[:, :, -1]).flatten(2) + last
    h = h.reshape(groups, B, -1, chunks * L)[..., :T].permute(3, 1, 0, 2).reshape(x.shape)
    final = final.reshape(groups, B, -1, len(state)).permute(3, 1, 0, 2)
    return h, final.reshape(len(state), *x.shape[1:]).unbind(0)


def _powers(pole: Tensor, n: int) -> Tensor:
    """The powers 0 to `n - 1` of poles `(groups, modes, parts)`, as matrices
    `(groups, n, modes, parts, parts)`."""
    exponent = torch.arange(n, dtype=pole.dtype, device=pole.device).unsqueeze(-1)
    pole = pole.unsqueeze(1)
    if pole.shape[-1] == 1:
        return (pole[..., 0] ** exponent)[..., None, None]
    c, d = pole.unbind(-1)
    # At 0 the derivative of a root is infinite.
    size = (c * c + d * d).clamp(min=torch.finfo(pole.dtype).tiny) ** (exponent / 2)
    angle = torch.atan2(d, c) * exponent
    c, d = size * angle.cos(), size * angle.sin()
    return torch.stack([c, -d, d, c], -1).unflatten(-1, (2, 2))


def _times(matrix: Tensor, mode: Tensor) -> Tensor:
    # The matrices are smaller than what `matmul` is made for.
    return (matrix * mode.unsqueeze(-2)).sum(-1)


def _carried(pole: Tensor, own: Tensor) -> Tensor:
    """`z[c] = pole z[c-1] + own[c]` for `own` of shape `(groups, batch, chunks, modes, parts)`, by
    sums over twice as many chunks each time."""
    done = 1
    while done < own.shape[2]:
        earlier = _times(pole[:, None, None], own[:, :, :-done])
        own = torch.cat([own[:, :, :done], own[:, :, done:] + earlier], 2)
        pole, done = (pole.unsqueeze(-1) * pole.unsqueeze(-3)).sum(-2), 2 * done
    return own


def _full_precision(device: str) -> contextlib.AbstractContextManager[None]:
    """No autocast: it would round products, which a step does not have."""
    if not torch.amp.is_autocast_available(device):
        return contextlib.nullcontext()
    off: contextlib.AbstractContextManager[None] = torch.autocast(device, enabled=False)
    return off
