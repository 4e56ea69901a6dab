"""Linear dynamics over all steps at once.

Modes without feedback follow their input linearly, `z[t] = lambda z[t-1] + g x[t]`. The sequence is
cut into chunks of `L` steps. With `z` the modes before a chunk,

    h[l] = sum_m k[l-m] x[m] + sum_j Re(lambda_j^(l+1) z_j)     k[i] = sum_j Re(lambda_j^i g_j)
    z_j  = lambda_j^L z_j + sum_m lambda_j^(L-1-m) g_j x[m]                       after the chunk

The sums over `m` are one matrix product for all chunks. The modes at the boundaries follow from
each other in `log2(T / L)` steps. Between the boundaries no mode is ever written: memory is that of
the membrane, however many modes there are.

In here a mode is a row of `parts` real numbers, 2 if it oscillates, and a power of its pole is a
matrix. The first dimension of tensors is the groups of neurons that share their parameters.
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
    T, B, groups, size = x.shape[0], x.shape[1], rows[0].numel(), len(state)
    L = -(-T // -(-T // CHUNK))
    chunks = -(-T // L)
    rest = T - (chunks - 1) * L  # of the last chunk

    table = torch.stack([row.flatten() for row in rows], -1).to(x.dtype)
    pole, gain = table.unflatten(-1, (modes, -1)).chunk(2, -1)
    power = _powers(pole, L + 1)
    response = (power * gain[:, None, :, None]).sum(-1)  # of each mode to one input
    within = F.pad(response[:, :L, :, 0].sum(-1), (L - 1, 0)).unfold(-1, L, 1).flip(1)
    across = response[:, :L].flip(1).flatten(2)
    after = power[:, 1:, :, 0].flatten(2).transpose(1, 2)

    line = x.reshape(T, B, groups, -1).permute(2, 1, 3, 0)
    line = F.pad(line, (0, L - rest)) if rest < L else line
    start = torch.stack([u.expand(x.shape[1:]).reshape(B, groups, -1) for u in state], -1)
    start = start.transpose(0, 1).flatten(1, 2).unsqueeze(2)
    with _full_precision(x.device.type):
        inside = line.reshape(groups, -1, L)
        h, own = (inside @ torch.cat([within, across], -1)).split([L, size], -1)
        own = own.reshape(groups, -1, chunks, size)[:, :, :-1]
        before = _carried(torch.cat([start, own], 2), _joint(power[:, L]))
        h = torch.baddbmm(h, before.flatten(1, 2), after)
        last = inside.reshape(groups, -1, chunks, L)[:, :, -1, :rest] @ across[:, L - rest :]
        final = before[:, :, -1] @ _joint(power[:, rest]) + last
    h = h.reshape(groups, B, -1, chunks * L)[..., :T].permute(3, 1, 0, 2)
    h = h.reshape(x.shape).contiguous()
    final = final.reshape(groups, B, -1, size).permute(3, 1, 0, 2)
    return h, final.reshape(size, *x.shape[1:]).unbind(0)


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
    return torch.stack([torch.stack([c, -d], -1), torch.stack([d, c], -1)], -2)


def _joint(power: Tensor) -> Tensor:
    """One matrix for all modes, for states in rows: on its diagonal those of each, transposed."""
    modes, parts = power.shape[1:3]
    apart = torch.eye(modes, dtype=power.dtype, device=power.device)[:, None, :, None]
    blocks = power.transpose(-1, -2).unsqueeze(3) * apart
    return blocks.reshape(-1, modes * parts, modes * parts)


def _carried(own: Tensor, pole: Tensor) -> Tensor:
    """`z[c] = z[c-1] pole + own[c]` for `own` of shape `(groups, batch, chunks, states)`. Each pass
    doubles the number of chunks that are summed."""
    done = 1
    while done < own.shape[2]:
        earlier = (own[:, :, :-done].flatten(1, 2) @ pole).unflatten(1, (own.shape[1], -1))
        own = torch.cat([own[:, :, :done], own[:, :, done:] + earlier], 2)
        pole, done = pole @ pole, 2 * done
    return own


def _full_precision(device: str) -> contextlib.AbstractContextManager[None]:
    """No autocast: it would round products, which a step does not have."""
    if not torch.amp.is_autocast_available(device):
        return contextlib.nullcontext()
    off: contextlib.AbstractContextManager[None] = torch.autocast(device, enabled=False)
    return off
