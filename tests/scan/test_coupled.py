"""The contract of coupled scans: a state comes back through matrices. Truth is the plain loop."""

from functools import partial

import pytest
import torch
from torch import nn

from neurodyn.layers import CSGRU, GatedCell, Recurrent, RecurrentCubaLIF, SpikGRU, SpikGRU2
from neurodyn.neurons import (
    LIF,
    LNM,
    QIF,
    AdLIF,
    CubaLIF,
    DecayLIF,
    Modal,
    MultiTimescale,
    Planar,
)
from neurodyn.scan import scan
from neurodyn.surrogate import Triangle
from tests.scan.contract import TOLERANCE, Poisoned, error
from tests.scan.test_contract import laid_out


class Gated(nn.Module):
    """Two states; a state comes back that is no output; a new one goes onward."""

    def __init__(self, features):
        super().__init__()
        self.a = nn.Parameter(torch.rand(features))
        self.b = nn.Parameter(torch.rand(1))

    def step(self, x, y, z, h, c):
        c = torch.sigmoid(x) * c + self.a * torch.tanh(y)
        h = torch.tanh(z) * c - self.b * h
        return (h * c, h, c)


class Ignoring(nn.Module):
    """No gradient reaches one of the inputs that are fed."""

    def __init__(self, features):
        super().__init__()
        self.a = nn.Parameter(torch.rand(()))

    def step(self, x, y, h):
        return (self.a * h + x, 0.5 * h + x + torch.tanh(y.detach()))


def spiking(neuron, **options):
    return lambda features: Recurrent(features, neuron=partial(neuron, **options))


def gated(cell, **options):
    return lambda features: cell(2, features, **options)


# A cell from its number of neurons; the inputs that are fed; where a state goes onward.
CELLS = {
    "RLIF": (spiking(DecayLIF, per="neuron", learn_threshold=True), "V", None),
    "LIF": (spiking(LIF, learn_initial=True, surrogate=Triangle(learn=True)), "V", None),
    "QIF": (spiking(QIF, lower=-3.0), "V", None),
    "LNM": (spiking(LNM, per="neuron", clip="smooth"), "V", None),
    "RadLIF": (spiking(AdLIF, per="neuron"), "V", None),
    "CubaLIF": (spiking(CubaLIF, reset="smooth", detach_reset=True), "V", None),
    "MultiTimescale": (spiking(MultiTimescale, per="neuron"), "V", None),
    "Planar": (spiking(Planar, per="neuron"), "V", None),
    "Modal": (spiking(Modal, feedback="soft"), "V", None),
    "driven": (spiking(AdLIF, per="neuron"), "V-", None),
    "driven through": (spiking(LIF), "-V", None),
    "recurrent Cuba-LIF": (gated(RecurrentCubaLIF, learn_threshold=True), "V", None),
    "SpikGRU": (gated(SpikGRU), "VV", None),
    "SpikGRU2+": (gated(SpikGRU2, signed=True, threshold=0.5), "-VVV", None),
    "CSGRU": (gated(CSGRU, threshold=0.5), "VVV", (1, 2)),
    "gated": (Gated, "V-V", (1, 2)),
    "fed alone": (Gated, "V--", None),
    "ignoring": (Ignoring, "VV", None),
}
# (T, B, F): segments and what is left of them; groups of samples; rows that fill nothing.
SHAPES = [(1, 1, 1), (17, 3, 63), (33, 33, 20), (16, 8, 64), (5, 70, 5), (40, 2, 130)]
LAYOUTS = ["plain", "every second", "batch first"]
TABLE = [
    pytest.param(name, 5 * n + i, id=f"{name}-{i}") for n, name in enumerate(CELLS) for i in (0, 1)
]


class Case:
    """A cell, its sequences, states and matrices, by the strides of the table."""

    def __init__(self, name, j):
        make, fed, onward = CELLS[name]
        steps, batch, n = SHAPES[j % len(SHAPES)]
        self.cell = make(n)
        states = 1 + len(self.cell.neuron.states) if isinstance(self.cell, Recurrent) else 3
        states = {Gated: 2, Ignoring: 1}.get(type(self.cell), states)
        layout = LAYOUTS[j % len(LAYOUTS)]
        self.inputs = [laid_out(torch.randn(steps, batch, n), layout) for _ in fed]
        shape = [(batch, n), (n,), (1,)][j % 3]
        self.state = [0.5 * torch.rand(shape) for _ in range(states)]
        if isinstance(self.cell, Recurrent | GatedCell):
            self.state[0] = (torch.rand(shape) < 0.4).float()
        scale = n**-0.5
        self.feedback = [scale * torch.randn(n, n) if k == "V" else None for k in fed]
        self.onward = onward and (*onward, scale * torch.randn(n, n))
        self.weights = torch.randn(steps, batch, n), torch.randn(batch, n)

    def run(self, backend, dtype, sane=None):
        """Outputs, final states, and the gradients of everything, by name.

        Args:
            sane: the weight of steps `(T, B, 1)`.
        """
        sane = torch.ones(1, 1, 1) if sane is None else sane
        self.cell.to(dtype).zero_grad()

        def leaf(value):
            return None if value is None else value.detach().to(dtype).requires_grad_()

        inputs, state = [leaf(x) for x in self.inputs], [leaf(u) for u in self.state]
        feedback = [leaf(V) for V in self.feedback]
        onward = self.onward and (*self.onward[:2], leaf(self.onward[2]))
        links = {"feedback": feedback, "onward": onward}
        if backend == "reference":
            outputs, final, _ = scan(self.cell, inputs, state, backend=backend, **links)
        else:
            with Poisoned():
                outputs, final, _ = scan(self.cell, inputs, state, backend=backend, **links)
        over_time, once = (
            w.to(dtype) * s for w, s in zip(self.weights, (sane, sane[-1]), strict=True)
        )
        loss = sum((y * over_time).sum() for y in outputs) + sum((u * once).sum() for u in final)
        with Poisoned():
            loss.backward()
        named = {f"output {i}": y for i, y in enumerate(outputs)}
        named |= {f"final {i}": u for i, u in enumerate(final)}
        named |= {f"x {i}": x.grad for i, x in enumerate(inputs)}
        named |= {f"state {i}": u.grad for i, u in enumerate(state)}
        named |= {f"V {i}": V.grad for i, V in enumerate(feedback) if V is not None}
        named |= {"onward": onward[2].grad} if onward else {}
        return named | {name: p.grad for name, p in self.cell.named_parameters()}


@pytest.mark.parametrize(("name", "j"), TABLE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_contract(name, j, dtype):
    """In float32, rounding may move a membrane past its threshold, and then a sample takes another
    path: from that step on it has no weight."""
    case = Case(name, j)
    sane = torch.ones(*case.weights[0].shape[:2], 1)
    if dtype == torch.float32:
        exact, *others = (
            case.run(backend, kind)["output 0"]
            for backend, kind in (
                ("reference", torch.float64),
                ("reference", dtype),
                ("cpu", dtype),
            )
        )
        away = sum((other - exact).abs() > 1e-4 for other in others)
        sane = 1 - away.any(-1, keepdim=True).float().cummax(0).values
        assert sane.mean() > 0.2
    exact, plain = (case.run("reference", kind, sane) for kind in (torch.float64, dtype))
    for key, value in case.run("cpu", dtype, sane).items():
        truth, loop = exact[key], plain[key]
        if key.startswith(("output", "final")):
            where = sane if key.startswith("output") else sane[-1]
            value, truth, loop = value * where, truth * where, loop * where
        allowed = max(TOLERANCE[dtype], 3 * error(loop, truth))
        assert error(value, truth) <= allowed, key
