"""Learned membranes: each function against arithmetic done by hand, each start against LIF."""

import math

import pytest
import torch

from neurodyn.analysis import family, fixed_points, operations
from neurodyn.learned import Learned
from neurodyn.neurons import LIF, Rational, Spline, TanhNet
from neurodyn.neurons.basis import LearnedMembrane

KINDS = [
    (Rational, {}),
    (Rational, {"degree": 4, "clip": "none"}),
    (Spline, {}),
    (Spline, {"order": 3, "points": 5, "clip_range": 1.5}),
    (TanhNet, {"clip": "none"}),
    (TanhNet, {"units": 3}),
]


@pytest.mark.parametrize(("cls", "options"), KINDS)
def test_starts_as_lif(cls, options):
    u = torch.linspace(-1.5, 1.5, 101, dtype=torch.float64)
    neuron = cls(tau=3.0, **options).double()
    lif = LIF(tau=3.0).double()
    x = torch.full_like(u, 0.1)
    torch.testing.assert_close(neuron.charge(x, u)[0], lif.charge(x, u)[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize(("cls", "options"), KINDS)
def test_every_number_learns(cls, options):
    neuron = cls(
        reset="none", backend="reference", **options
    )  # so that the membrane gets everywhere
    with torch.no_grad():
        for p in neuron.parameters():
            p.add_(0.1 * torch.randn_like(p))
    neuron(2 * torch.randn(8, 500)).sum().backward()
    for name, p in neuron.named_parameters():
        assert p.grad is not None, name
        assert p.grad != 0, name


@pytest.mark.parametrize(("cls", "options"), KINDS)
def test_first_step_moves_more_than_the_line(cls, options):
    """What starts at zero must have a gradient there."""
    neuron = cls(backend="reference", **options)
    neuron(2 * torch.randn(8, 500)).sum().backward()
    moved = sum(p.grad is not None and bool(p.grad != 0) for p in neuron.parameters())
    assert moved >= 4


def test_rational():
    neuron = Rational(clip="none").double()
    numbers = [0.1, -0.4, 0.2, -0.3]
    with torch.no_grad():
        for c, value in zip(neuron.c, numbers, strict=True):
            c.fill_(value)
        neuron.bend = 0.6
    v = torch.linspace(-3, 3, 13, dtype=torch.float64)
    expected = (0.1 - 0.4 * v + 0.2 * v**2 - 0.3 * v**3) / (1 + 0.6 * v**2)
    torch.testing.assert_close(neuron.change(v).detach(), expected)


def test_linear_spline_passes_through_its_heights_and_straight_between():
    neuron = Spline(points=5, clip_range=1.0).double()
    heights = [0.3, -0.2, 0.5, 0.1, -0.4]
    with torch.no_grad():
        for y, value in zip(neuron.y, heights, strict=True):
            y.fill_(value)
    grid = torch.tensor([-1, -0.5, 0, 0.5, 1], dtype=torch.float64)
    at = torch.tensor(heights, dtype=torch.float64)
    torch.testing.assert_close(neuron.change(grid).detach(), at)
    torch.testing.assert_close(neuron.change(grid[:-1] + 0.25).detach(), (at[1:] + at[:-1]) / 2)


def test_cubic_spline_is_twice_differentiable():
    neuron = Spline(points=5, clip_range=1.0, order=3).double()
    assert len(neuron.y) == 7
    with torch.no_grad():
        for y in neuron.y:
            y.normal_()
    heights = torch.cat([y.detach() for y in neuron.y])
    grid = torch.linspace(-1, 1, 5, dtype=torch.float64)
    knots = (heights[:-2] + 4 * heights[1:-1] + heights[2:]) / 6
    torch.testing.assert_close(neuron.change(grid).detach(), knots)

    def curvature(v):
        v = v.clone().requires_grad_()
        (slope,) = torch.autograd.grad(neuron.change(v).sum(), v, create_graph=True)
        return torch.autograd.grad(slope.sum(), v)[0]

    inner = grid[1:-1]
    torch.testing.assert_close(curvature(inner - 1e-9), curvature(inner + 1e-9))


def test_tanh_network():
    neuron = TanhNet(units=2).double()
    with torch.no_grad():
        for part, values in (("c", (0.1, -0.4)), ("w", (0.7, -0.3)), ("a", (2, 3)), ("b", (1, -1))):
            for p, value in zip(getattr(neuron, part), values, strict=True):
                p.fill_(value)
    v = torch.linspace(-2, 2, 9, dtype=torch.float64)
    expected = 0.1 - 0.4 * v + 0.7 * torch.tanh(2 * v + 1) - 0.3 * torch.tanh(3 * v - 1)
    torch.testing.assert_close(neuron.change(v).detach(), expected)


def test_clips_bound_the_argument():
    x, u = torch.zeros(1), torch.tensor([5.0])
    for clip, v in (("hard", 1.0), ("smooth", math.tanh(5.0)), ("none", 5.0)):
        neuron = TanhNet(clip=clip, clip_range=1.0)
        assert neuron.charge(x, u)[0].item() == pytest.approx(5 - v / 2)


def test_a_basis_of_ones_own():
    class Sine(LearnedMembrane):
        amplitude = Learned(-0.5)

        def change(self, v):
            return self.amplitude * torch.sin(v)

    neuron = Sine((4,), per="neuron", backend="reference")
    neuron(torch.randn(6, 3, 4)).sum().backward()
    assert neuron.amplitude.grad.shape == (4,)
    with pytest.raises(NotImplementedError, match="LearnedMembrane does not define its change"):
        LearnedMembrane(backend="reference")(torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rational(degree=2), "degree: expected at least 3, got 2"),
        (lambda: Spline(clip="none"), "clip: a spline ends with its grid"),
        (lambda: Spline(points=1), "points: expected at least 2, got 1"),
        (lambda: Spline(order=2), "order: expected 1 or 3, got 2"),
        (lambda: TanhNet(units=0), "units: expected at least 1, got 0"),
        (lambda: TanhNet(tau=0.0), "tau: expected at least one timestep, got 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("cls", "options"), KINDS)
def test_analysis_reads_it(cls, options):
    neuron = cls(**options)
    assert family(neuron, bounds=(-1.5, 1.5)) == "LIF-like"
    (rest,) = fixed_points(neuron)
    assert rest.u == pytest.approx(0, abs=1e-6)
    assert rest.slope == pytest.approx(0.5, abs=1e-6)
    assert all(count > 0 for count in operations(neuron))
