"""Functions of CPU kernels that are arithmetic alone: float32 against PyTorch's in float64, float64
against many digits."""

import math
import struct

import mpmath
import pytest
import torch
from torch import nn

from neurodyn.scan import scan
from neurodyn.scan.cpu.math import FORMS


class Applied(nn.Module):
    """A function of the input, as a step."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def step(self, x, u):
        return self.function(x), u


def computed(function, x):
    """The function of some numbers, by a kernel."""
    (y,), _, _ = scan(Applied(function), (x[None],), (x.new_zeros(()),), backend="cpu")
    return y[0]


@pytest.mark.parametrize(
    ("name", "truth", "low", "high"),
    [
        ("exp", torch.exp, -87, 88),
        ("log", torch.log, 1e-37, 1e37),
        ("log1p", torch.log1p, -0.999, 1e6),
        ("expm1", torch.expm1, -20, 80),
        ("tanh", torch.tanh, -15, 15),
        ("sigmoid", torch.sigmoid, -80, 80),
        ("sin", torch.sin, -1e4, 1e4),
        ("cos", torch.cos, -1e6, 1e6),
    ],
)
def test_float32_functions(name, truth, low, high):
    x = torch.linspace(low, high, 200_001)
    if low > 0:
        x = torch.logspace(math.log10(low), math.log10(high), 200_001)
    small = torch.logspace(-20, 0, 1001)
    x = torch.cat([x, small, -small]) if low < -1 else x
    special = torch.tensor([0.0, math.inf, -math.inf, math.nan])
    x = torch.cat([x, special]).float()
    y = computed(truth, x)
    expected = truth(x.double())
    ordinary = expected.isfinite() & (expected != 0)
    relative = ((y.double() - expected) / expected)[ordinary].abs()
    if name in ("sin", "cos"):  # near their zeros, x itself is known no better
        relative = (y.double() - expected)[ordinary].abs()
    assert relative.max() < 3e-7
    assert torch.equal(y.isnan(), expected.isnan())
    assert torch.equal(y[expected.isinf()].double(), expected[expected.isinf()])


TRUTH = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}


@pytest.mark.parametrize(
    ("name", "low", "high", "bound"),
    [
        ("exp", -708, 709.7, 1.1),
        ("expm1", -40, 709.7, 2.1),
        ("log", 1e-307, 1e307, 0.92),
        ("log1p", -0.999, 1e6, 1.3),
        ("tanh", -20, 20, 2.7),
        ("sigmoid", -700, 700, 2.5),
    ],
)
def test_float64_functions(name, low, high, bound):
    """Errors in units of the last place of the result, over the range and more densely near 0, or
    near 1 for the logarithm."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda n: torch.rand(n, generator=generator, dtype=torch.float64)  # noqa: E731
    small = 10 ** (-12 * draw(2000))
    near = max(low, -2.0) + (2.0 - max(low, -2.0)) * draw(14000)
    if low > 0:
        wide = 10 ** (math.log10(low) + (math.log10(high) - math.log10(low)) * draw(4000))
        x = torch.cat([wide, near, 1 + small, 1 - 0.9 * small])
    else:
        x = torch.cat([low + (high - low) * draw(4000), near, small, -0.9 * small])
    y = computed(getattr(torch, name), x)
    with mpmath.workprec(120):
        expected = [TRUTH[name](mpmath.mpf(v)) for v in x.tolist()]
        off = [abs(mpmath.mpf(a) - b) for a, b in zip(y.tolist(), expected, strict=True)]
        units = [float(a) / math.ulp(float(b)) for a, b in zip(off, expected, strict=True)]
    assert max(units) < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_at_the_edges(dtype):
    """Infinities, NaN, zeros, the last numbers before overflow and underflow, denormal numbers."""
    inf, nan, info = math.inf, math.nan, torch.finfo(dtype)
    last, first = math.log(info.max), math.log(info.smallest_normal)
    denormal = info.smallest_normal * info.eps
    everywhere = [nan, inf, -inf, 0.0, -0.0, info.max, -info.max, info.smallest_normal, denormal]
    large = [last * (1 + 4 * info.eps), last + 1, first - 40, first - 1000, 1e4, -1e4]
    exact = {
        "exp": [*everywhere, *large],
        "expm1": [*everywhere, *large],
        "log": [*everywhere, -1.0, 1.0],
        "log1p": [*everywhere, -1.0, -2.0],
        "tanh": [*everywhere, *large],
        "sigmoid": [*everywhere, 1e4, -1e4],
    }
    close = {
        "exp": [last * (1 - info.eps), last - 1, first * (1 - info.eps), first + 1],
        "expm1": [last * (1 - info.eps), last - 1, first + 1],
        "log": [info.max / 2, info.smallest_normal * 2, 1 + info.eps, 1 - info.eps],
    }
    for name, values in exact.items():
        function, x = getattr(torch, name), torch.tensor(values, dtype=dtype)
        y, expected = computed(function, x), function(x)
        tiny = x.abs() <= info.smallest_normal  # Kernels may take denormal numbers for 0.
        same = (y == expected) | (y.isnan() & expected.isnan())
        same |= tiny & ((y == function(0 * x)) | ((y - expected).abs() <= 4 * info.smallest_normal))
        assert same.all(), (name, x[~same], y[~same])
    for name, values in close.items():
        function, x = getattr(torch, name), torch.tensor(values, dtype=dtype)
        torch.testing.assert_close(computed(function, x), function(x), rtol=8 * info.eps, atol=0)
    # Results between the smallest normal number and 0 are right, or 0.
    x = torch.linspace(first - 1, first - 20, 101, dtype=dtype)
    y, expected = computed(torch.exp, x), torch.exp(x)
    assert ((y == 0) | ((y - expected).abs() <= 2 * denormal)).all()


@pytest.mark.parametrize(("bits", "code"), [(32, "f"), (64, "d")])
def test_constants_of_a_form(bits, code):
    """ln 2 is in two parts: exponents times the first are exact, and the second has the rest."""
    form = FORMS[bits]
    high, low = form.ln2
    with mpmath.workprec(200):
        assert float(mpmath.ln(2) - mpmath.mpf(high)) == low
    numerator, _ = high.as_integer_ratio()
    assert numerator.bit_length() + (2 * form.bias).bit_length() <= form.fraction + 1
    whole = lambda x: int.from_bytes(struct.pack(f">{code}", x))  # noqa: E731
    assert form.root_half == whole(math.sqrt(0.5))
    assert form.shift_bits == whole(form.shift)
    assert form.smallest == torch.finfo(getattr(torch, f"float{bits}")).smallest_normal


@pytest.mark.parametrize("bits", [32, 64])
def test_series_are_as_long_as_needed(bits):
    """The first term that they leave out is below a tenth of the result's last place, the one
    before it is not."""
    form = FORMS[bits]
    r, s = math.log(2) / 2, (math.sqrt(2) - 1) / (math.sqrt(2) + 1)
    exp = lambda n: r**n / math.factorial(n) / math.exp(-r)  # noqa: E731
    log = lambda n: 2 * s**n / n / (2 * math.atanh(s))  # noqa: E731
    tenth = 0.1 * 2.0**-form.fraction
    assert exp(form.exp_degree + 1) < tenth < exp(form.exp_degree)
    assert log(form.log_degree + 2) < tenth < log(form.log_degree)
