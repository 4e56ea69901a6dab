"""What GPU kernels call besides the functions of `tl`, in float32."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def minimum(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """The smaller; NaN if either is."""
    return tl.where((a < b) | (a != a), a, b)


@triton.jit
def maximum(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """The larger; NaN if either is."""
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def sign(x: tl.tensor) -> tl.tensor:
    """-1, 0 or 1."""
    return (x > 0).to(tl.float32) - (x < 0).to(tl.float32)


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """`1 / (1 + e^-x)`."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x < 0.0, e, 1.0) / (1.0 + e)


@triton.jit
def log1p(x: tl.tensor) -> tl.tensor:
    """`log(1 + x)`, right for small `x` too."""
    u = 1.0 + x
    # What rounding lost in 1 + x comes back as a correction of first order.
    value = tl.log(u) - ((u - 1.0) - x) / u
    return tl.where((u == float("inf")) | (u == 0.0), tl.log(u), value)


@triton.jit
def expm1(x: tl.tensor) -> tl.tensor:
    """`e^x - 1`, right for small `x` too."""
    p = x * (1 / 40320) + 1 / 5040
    p = p * x + 1 / 720
    p = p * x + 1 / 120
    p = p * x + 1 / 24
    p = p * x + 1 / 6
    p = p * x + 0.5
    return tl.where(tl.abs(x) < 0.5, (p * x) * x + x, tl.exp(x) - 1.0)


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """The hyperbolic tangent."""
    magnitude = tl.where(tl.abs(x) > 10.0, 10.0, tl.abs(x))
    t = expm1(magnitude + magnitude)
    y = t / (t + 2.0)
    return tl.where(x < 0.0, -y, y)


@triton.jit
def power(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """`a^b`; of a negative `a`, for whole `b` only."""
    zero = tl.zeros_like(a + b)  # One of them may be a number.
    a, b = a + zero, b + zero
    size = tl.exp(b * tl.log(tl.abs(a)))
    whole = b == tl.floor(b)
    odd = b - 2.0 * tl.floor(b * 0.5) != 0.0
    signed = tl.where(whole & odd & (a < 0.0), -size, size)
    signed = tl.where((a < 0.0) & (whole == 0), float("nan"), signed)
    return tl.where(b == 0.0, 1.0, signed)


@triton.jit
def nearest(x: tl.tensor) -> tl.tensor:
    """The nearest whole number; the even one of two."""
    r = tl.floor(x + 0.5)
    tie = (r - x == 0.5) & (r - 2.0 * tl.floor(r * 0.5) != 0.0)
    return tl.where(tie, r - 1.0, r)


@triton.jit
def trunc(x: tl.tensor) -> tl.tensor:
    """The whole part."""
    return tl.where(x < 0.0, -tl.floor(-x), tl.floor(x))
