"""What every backend has to give: the numbers of the plain loop in float64."""

import contextlib

import torch
from torch import nn

from neurodyn.learned import Learned
from neurodyn.neurons import LNM, Neuron
from neurodyn.surrogate import Triangle

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


class Adaptive(Neuron):
    """Two states: the membrane, and a threshold that rises with every spike."""

    states = ("u", "b")
    leak = Learned(0.4)
    rise = Learned(0.3)
    decay = Learned(0.2)

    def step(self, x, u, b):
        s, u = self.fire(u - self.leak * u + x, self.threshold + b)
        return s, u, b - self.decay * b + self.rise * s


class TwoInputs(nn.Module):
    """Two inputs, two outputs, no spike."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.7))

    def step(self, x, y, u):
        v = torch.tanh(self.a * u + x) * torch.sigmoid(y)
        return v, v + y, 0.9 * v


class Poisoned(torch.overrides.TorchFunctionMode):
    """Whatever is allocated holds NaN until somebody writes there."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        names = ("empty", "empty_like", "new_empty", "empty_strided")
        if getattr(func, "__name__", "") in names and out.is_floating_point():
            out.fill_(float("nan"))
        return out


def error(value, truth):
    """Relative RMS error."""
    if truth is None or value is None:
        assert truth is None, "no gradient where the plain loop has one"
        return float(value.abs().max()) if value is not None else 0.0
    distance = (value.detach().double() - truth.detach().double()).norm()
    return float(distance / truth.detach().double().norm().clamp(min=1e-12))


def run(neuron, x, weight, final_weight, backend, state=None):
    """Spikes, final states and the gradients of input, initial state and parameters."""
    neuron.zero_grad()
    neuron.backend = backend
    x = x.detach().requires_grad_()
    state = None if state is None else tuple(u.detach().requires_grad_() for u in state)
    context = contextlib.nullcontext() if backend == "reference" else Poisoned()
    with context:
        spikes, final = neuron(x, state, return_state=True)
        loss = (spikes * weight).sum() + sum((u * final_weight).sum() for u in final)
        loss.backward()
    results = {"spikes": spikes, **{f"final {i}": u for i, u in enumerate(final)}, "x": x.grad}
    results |= {f"state {i}": u.grad for i, u in enumerate(state or ())}
    results |= {name: p.grad for name, p in neuron.named_parameters()}
    return {name: None if v is None else v.detach().clone() for name, v in results.items()}


def check(neuron, x, backend, dtype, state=None, tolerance=None):
    """Compare a backend with the plain loop in float64.

    A neuron whose membrane comes within rounding of the threshold or of a window's edge takes
    another path in float32 than in float64, by the plain loop too, and says nothing about a kernel.
    Elements on which the plain loop in `dtype` leaves the one in float64 get no weight. The seeds
    are fixed; few may be lost.
    """
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    final = torch.randn(x.shape[1:], generator=generator, dtype=torch.float64)
    exact = run(
        neuron.double(), x.double(), weight, final, "reference", _cast(state, torch.float64)
    )
    neuron, x, state = neuron.to(dtype), x.to(dtype), _cast(state, dtype)
    plain = run(neuron, x, weight.to(dtype), final.to(dtype), "reference", state)
    sane = torch.ones(x.shape[1:], dtype=torch.bool)
    if dtype != torch.float64:
        for name in ("spikes", "x"):
            away = (plain[name].double() - exact[name]).abs()
            sane &= (away <= 1e-4 * (1 + exact[name].abs())).all(0)
        assert sane.float().mean() > 0.8
        weight, final = weight * sane, final * sane
        wide = _cast(state, torch.float64)
        exact = run(neuron.double(), x.double(), weight, final, "reference", wide)
        neuron.to(dtype)
        plain = run(neuron, x, weight.to(dtype), final.to(dtype), "reference", state)
    given = run(neuron, x, weight.to(dtype), final.to(dtype), backend, state)
    for name, truth in exact.items():
        value, loop = given[name], plain[name]
        if name.startswith(("spikes", "final")):
            value, truth, loop = value[..., sane], truth[..., sane], loop[..., sane]
        own = error(loop, truth)
        # Sums that cancel are known no better in float32, by the plain loop either.
        allowed = max(tolerance or TOLERANCE[dtype], 3 * own)
        assert error(value, truth) <= allowed, (name, error(value, truth), own)
    return given


def _cast(state, dtype):
    return None if state is None else tuple(u.to(dtype) for u in state)


def cubic(**options):
    return LNM(surrogate=Triangle(learn=True), **options)
