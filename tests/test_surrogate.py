import pytest
import torch

from neurodyn import surrogate
from neurodyn.surrogate import Rectangle, Surrogate, Triangle

SHAPES = [
    cls
    for cls in vars(surrogate).values()
    if isinstance(cls, type) and issubclass(cls, Surrogate) and cls is not Surrogate
]


def integral(cls, low, high, points=200_001):
    z = torch.linspace(low, high, points, dtype=torch.float64)
    return torch.trapezoid(cls.density(z), z).item()


def test_all_shapes_are_tested():
    assert len(SHAPES) == 8


@pytest.mark.parametrize("cls", SHAPES)
def test_density_has_unit_peak_and_area(cls):
    assert cls.density(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(1)
    # Substituting z = t / (1 - t^2) brings the heavy tails into a bounded interval.
    t = torch.linspace(-1, 1, 400_003, dtype=torch.float64)[1:-1]
    z, jacobian = t / (1 - t**2), (1 + t**2) / (1 - t**2) ** 2
    area = torch.trapezoid(cls.density(z) * jacobian, t).item()
    assert area == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("cls", SHAPES)
def test_forward_is_heaviside(cls):
    v = torch.tensor([-1.0, -1e-7, 0.0, 1e-7, 1.0])
    assert cls()(v).tolist() == [0, 0, 1, 1, 1]


def test_nan_stays_nan():
    assert torch.isnan(Triangle()(torch.tensor([float("nan")]))).all()


@pytest.mark.parametrize("cls", SHAPES)
@pytest.mark.parametrize("width", [0.4, 1.0, 2.5])
def test_backward_is_the_window(cls, width):
    v = torch.randn(50, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(50, dtype=torch.float64)
    spike = cls(width, scale=1.3).double()
    (grad,) = torch.autograd.grad(spike(v), v, upstream)
    expected = upstream * 1.3 / width * cls.density(v.detach() / width)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("cls", SHAPES)
def test_learned_width_gets_the_smooth_steps_derivative(cls):
    """dL/dw is that of S(v / w), S the integral of the density: here by a difference quotient."""
    v, width, delta = 0.3, 0.9, 1e-3
    spike = cls(width, learn=True).double()
    spike(torch.tensor([v], dtype=torch.float64)).sum().backward()
    analytic = spike.raw_width.grad.item() / width

    def smooth(w):
        return integral(cls, 0, v / w)

    numeric = (smooth(width + delta) - smooth(width - delta)) / (2 * delta)
    assert analytic == pytest.approx(numeric, rel=1e-3, abs=1e-9)
    assert analytic != 0


def test_learned_width_moves_in_training():
    spike = Triangle(1.0, learn=True)
    optimizer = torch.optim.SGD(spike.parameters(), lr=0.1)
    before = spike.width.item()
    spike(torch.full((4,), 0.2)).sum().backward()
    optimizer.step()
    assert spike.width.item() != before


@pytest.mark.parametrize("width", [0.0, -1.0, "wide"])
def test_bad_width(width):
    with pytest.raises(ValueError, match="width: expected"):
        Rectangle(width)


def test_width_cannot_be_derived_and_learned():
    with pytest.raises(ValueError, match="cannot be learned"):
        Rectangle("derived", learn=True)


def test_double_backward():
    v = torch.tensor([0.2], requires_grad=True)
    (grad,) = torch.autograd.grad(Triangle()(v).sum(), v, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), v)
    assert second.item() == pytest.approx(-1)


def test_vmap():
    spike, v = Triangle(0.7, learn=True), torch.randn(4, 3)
    assert torch.equal(torch.vmap(spike)(v), spike(v))

    def slope(v):
        return torch.func.grad(lambda v: spike(v).sum())(v)

    torch.testing.assert_close(torch.vmap(slope)(v), spike.window(v).detach())
