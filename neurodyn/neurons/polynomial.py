"""Polynomials of one state or several, by Horner's rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from torch import Tensor


def horner(coefficients: Any, v: Tensor) -> Tensor:
    """`c0 + c1 v + ... + cd v^d`."""
    # By index: Dynamo before PyTorch 2.11 does not unpack a list of parameters.
    last = len(coefficients) - 1
    total: Tensor = coefficients[last]
    for i in reversed(range(last)):
        total = total * v + coefficients[i]
    return total


def monomials(states: int, degree: int, least: int = 2) -> list[tuple[int, ...]]:
    """The exponents of all monomials of a total degree from `least` to `degree`, in the order in
    which `polynomial` takes their coefficients."""
    exponents = product(range(degree + 1), repeat=states)
    return [powers for powers in exponents if least <= sum(powers) <= degree]


def polynomial(c: Sequence[Tensor], of: Sequence[Tensor], degree: int, least: int = 2) -> Tensor:
    """The sum of all `monomials` of these states, each times its coefficient."""
    v, rest = of[0], of[1:]
    if not rest:
        total = horner(c, v)
        return total if least == 0 else total * v if least == 1 else total * (v * v)
    rows, at = [], 0
    for power in range(degree + 1):
        within = (degree - power, max(least - power, 0))
        size = len(monomials(len(rest), *within))
        rows.append(polynomial(c[at : at + size], rest, *within))
        at += size
    return horner(rows, v)
