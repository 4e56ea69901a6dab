"""Parameters that are vectors, taken apart by the step: kernels give what the loop gives."""

import pytest
import torch
from torch import nn

from neurodyn.scan import scan, why_not
from tests.scan.contract import error

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


class Modes(nn.Module):
    """A cell with a vector, one that goes through a function, a number, and a matrix of columns."""

    def __init__(self, step, shape=(3,), scale=()):
        super().__init__()
        self.c = nn.Parameter(torch.rand(shape) - 0.5)
        self.raw = nn.Parameter(torch.randn(shape) * 0.3)
        self.scale = nn.Parameter(torch.rand(scale) + 0.5)
        self.pair = nn.Buffer(torch.ones(1))
        self.count = nn.Buffer(torch.zeros(3, dtype=torch.int64))
        self.function = step

    def step(self, x, u):
        return self.function(self, x, u)


def first_and_last(self, x, u):
    v = self.c[0] * u + torch.tanh(self.c[-1] * x)
    return v, 0.5 * v


def unpacked(self, x, u):
    a, b, c = self.c
    v = torch.tanh(a * u + b * x + c)
    return v * a, v


def unbound(self, x, u):
    a, _, c = self.c.unbind()
    (d, e, _), f = self.raw.unbind(0), torch.unbind(self.raw)[2]
    v = torch.tanh(a * u + c * x) + d * e
    return v, f * v


def looped(self, x, u):
    v = x
    for c in self.c:
        v = torch.tanh(v + c * u)
    for i in range(len(self.raw)):
        v = v + self.raw[i] * x
    return v, 0.3 * v + self.c.select(0, 1) * u


def linked(self, x, u):
    tau = 1 + torch.exp(self.raw)
    a, b, c = torch.sigmoid(self.c) * 0.9 + 0.05
    return torch.tanh(a * u + x / tau[0]), b * u - c * x * tau[2]


def together(self, x, u):
    w = torch.exp(self.raw * self.scale) - self.c / (1 + self.c * self.c)
    v = w.unbind()[1] * u + x * w[0]
    return torch.tanh(v), 0.5 * v * self.scale


def clamped(self, x, u):
    rate = self.raw.clamp(-0.2, 0.2).abs() + torch.where(self.c > 0, self.c, 0.1)
    rate = torch.clamp(rate, max=self.raw.abs() + 0.2, min=None)
    return rate[0] * x, u - rate[-1] * u


STEPS = [first_and_last, unpacked, unbound, looped, linked, together, clamped]


def results(cell, x, u, backend):
    leaves = [x.detach().requires_grad_(), u.detach().requires_grad_()]
    (y,), (final,), _ = scan(cell, leaves[:1], leaves[1:], backend=backend)
    wave = torch.arange(y.numel(), dtype=x.dtype).sin().view(y.shape)
    loss = (y * wave).sum() + (final * wave[0]).sum()
    given = torch.autograd.grad(loss, [*leaves, *cell.parameters()], allow_unused=True)
    return [y, final, *given]


def check(cell, x, dtype, backend="cpu"):
    u = torch.randn(x.shape[1:], dtype=torch.float64)
    truth = results(cell.double(), x.double(), u, "reference")
    given = results(cell.to(dtype), x.to(dtype), u.to(dtype), backend)
    for value, expected in zip(given, truth, strict=True):
        assert (value is None) == (expected is None)
        assert value is None or error(value, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_vectors(step, dtype):
    check(Modes(step), torch.randn(20, 2, 5), dtype)


@pytest.mark.parametrize("step", [unbound, together])
def test_vectors_on_a_gpu(step):
    check(Modes(step), torch.randn(10, 2, 5), torch.float32, "gpu")


@pytest.mark.parametrize("step", [looped, linked, together, clamped])
@pytest.mark.parametrize("per", [(3, 4, 1, 1), (3, 4, 2, 3)])
def test_elements_have_a_granularity_of_their_own(step, per):
    scale = per[1:] if step is together else ()
    check(Modes(step, per, scale), torch.randn(9, 2, 4, 2, 3), torch.float64)


def test_a_vector_of_one():
    def only(self, x, u):
        v = torch.exp(self.raw * self.scale)[0] * u + x
        return v, v * self.c[0]

    check(Modes(only, (1,), (1,)), torch.randn(20, 3), torch.float64)


def test_a_buffer_of_truths():
    cell = Modes(lambda self, x, u: (torch.where(self.mask[1], x, u), u + x * self.mask[0]))
    cell.register_buffer("mask", torch.tensor([True, False]))
    check(cell, torch.randn(20, 3), torch.float64)


def test_a_vector_of_parameters_that_none_learns():
    cell = Modes(linked)
    cell.raw.requires_grad_(False)
    x, u = torch.randn(20, 3), torch.randn(3)
    grads = []
    for backend in ("reference", "cpu"):
        (y,), _, _ = scan(cell, (x,), (u,), backend=backend)
        grads.append(torch.autograd.grad(y.sum(), cell.c)[0])
    assert error(*grads[::-1]) < 1e-5


@pytest.mark.parametrize("steps", [4, 20])
def test_under_compile(steps):
    torch._dynamo.reset()
    cell, x, u = Modes(together).double(), torch.randn(steps, 2, 5).double(), torch.randn(2, 5)
    truth = results(cell, x, u.double(), "reference")
    compiled = torch.compile(
        lambda x, u: scan(cell, (x,), (u,), backend="cpu")[:2], backend="aot_eager", fullgraph=True
    )
    leaves = [x.requires_grad_(), u.double().requires_grad_()]
    (y,), (final,) = compiled(*leaves)
    wave = torch.arange(y.numel(), dtype=x.dtype).sin().view(y.shape)
    loss = (y * wave).sum() + (final * wave[0]).sum()
    given = [y, final, *torch.autograd.grad(loss, [*leaves, *cell.parameters()])]
    for value, expected in zip(given, truth, strict=True):
        assert error(value, expected) < 1e-12


REFUSED = {
    "slice": (lambda self, x, u: (x * self.c[:2].sum(), u), r"'__getitem__'.*self\.c\[0\]"),
    "tensor": (lambda self, x, u: (x * self.c[torch.tensor(1)], u), r"write `self\.c\[0\]`"),
    "pair": (lambda self, x, u: (x * self.c[0, 1], u), r"takes elements of c in a way"),
    "last dimension": (lambda self, x, u: (self.c.unbind(-1)[0] * x, u), "'unbind' takes elements"),
    "split": (lambda self, x, u: (self.c.split(1)[0] * x, u), "'split' takes elements of c"),
    "plain": (lambda self, x, u: (self.c[0] * x, self.c * u), r"c is indexed.*`c\[0\] \* u`"),
    "plain first": (lambda self, x, u: (self.c * x, u * self.c[1]), r"c is indexed.*`c\[0\] \* u"),
    "returned": (lambda self, x, u: (self.c[0] * x, torch.exp(self.c)), "returns a whole vector"),
    "an input": (lambda self, x, u: (x[0] + u, u), "elements of what depends on inputs or states"),
    "a mixture": (lambda self, x, u: ((self.c * u)[0], u), "what depends on inputs or states"),
    "a number": (lambda self, x, u: (self.scale[0] * x, u), "takes elements of a single number"),
    "a counter": (lambda self, x, u: (self.count[0] * x, u), "not a real parameter or buffer"),
    "twice": (lambda self, x, u: (self.c[0][0] * x, u), "takes elements of a single number"),
    "reduced": (lambda self, x, u: (self.c[0] * x, self.raw.sum() * u), r"'sum'"),
    "reshaped": (lambda self, x, u: (x * self.c[0], self.c.view(-1)[1] * u), "'view' changes"),
    "squeezed": (lambda self, x, u: (x * self.c[0], self.c.squeeze()[1] * u), "'squeeze' changes"),
    "lengths": (
        lambda self, x, u: ((self.c * self.pair)[0] * self.pair[0] * x, u),
        r"c of shape \(3,\) and pair of shape \(1,\) meet before",
    ),
    "shape": (lambda self, x, u: (self.c[0] * x, self.c.shape[0] * u), "reads a tensor's shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_what_to_write(name):
    step, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        scan(Modes(step), (torch.randn(5, 3),), (torch.zeros(3),), backend="cpu")
    assert name == "returned" or "test_indexing.py" in str(caught.value)


def test_shapes_that_do_not_match_element_by_element():
    def columns(self, x, u):
        return (self.c * self.scale)[0] * x, u

    arguments = (torch.randn(5, 2, 4),), (torch.zeros(4),)
    assert why_not(Modes(columns, (3, 4), (4,)), *arguments) is None
    reason = why_not(Modes(columns, (3,), (4,)), *arguments)
    assert "c of shape (3,) and scale of shape (4,) meet before they are indexed" in reason


def test_a_length_that_changes_is_refused():
    def summed(self, x, u):
        return x * sum(self.c.unbind()), u

    arguments = (torch.randn(5, 3),), (torch.zeros(3),)
    cell, other = Modes(summed), Modes(summed, (4,))
    assert why_not(cell, *arguments) is None
    assert r"c: expected 3 elements as when the step was traced, got shape (4,)" in why_not(
        other, *arguments
    )
    other.k = 4  # An attribute that says so makes it another step.
    check(other, torch.randn(5, 3), torch.float64)
    check(cell, torch.randn(5, 3), torch.float64)
