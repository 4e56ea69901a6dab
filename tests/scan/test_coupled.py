"""The contract of coupled scans: a state comes back through matrices. Truth is the plain loop."""

from functools import partial

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

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
from neurodyn.step.program import program_of
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


def recurrent(n=20, neuron=DecayLIF, **options):
    layer = Recurrent(n, neuron=partial(neuron, backend="cpu", **options))
    with torch.no_grad():
        layer.V.mul_(2)
    return layer


@pytest.mark.parametrize("n", [20, 130, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_does_not_depend_on_its_neighbours(n, dtype):
    """Where many of a group spike, the product is another one; it gives the same bits."""
    layer = recurrent(n).to(dtype)
    x = torch.randn(30, 64, n, dtype=dtype)
    x[:, 1:] += torch.linspace(0, 3, 63, dtype=dtype)[:, None]
    together = layer(x)
    assert together[:, 0].mean() < 0.2 < 0.6 < together[:, -8:].mean()
    for i in (0, 30, 63):
        assert torch.equal(layer(x[:, i : i + 1])[:, 0], together[:, i])


def test_chunks():
    layer, x = recurrent(neuron=AdLIF), 2 * torch.randn(40, 5, 20)
    first, state = layer(x[:21], return_state=True)
    rest, end = layer(x[21:], state, return_state=True)
    whole, final = layer(x, return_state=True)
    assert torch.equal(torch.cat([first, rest]), whole)
    assert all(map(torch.equal, end, final))


def test_narrow_inputs():
    layer, x = recurrent(), (2 * torch.randn(17, 3, 20)).bfloat16().requires_grad_()
    out, (s, u) = layer(x, return_state=True)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == torch.bfloat16
    assert s.dtype == u.dtype == layer.V.grad.dtype == torch.float32
    assert torch.equal(out.float(), layer(x.float()))


def test_outputs_may_be_changed_in_place():
    layer, x = recurrent(), 2 * torch.randn(17, 3, 20)
    out = layer(x)
    out[4:] = 0
    (changed,) = torch.autograd.grad(out.sum(), layer.V)
    (expected,) = torch.autograd.grad(layer(x)[:4].sum(), layer.V)
    torch.testing.assert_close(changed, expected)


def test_what_is_kept_is_the_total_input_alone():
    layer, kept = recurrent(64), {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.randn(64, 8, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = layer(x)
    sequence = x.numel() * 4
    assert sum(kept.values()) < 1.5 * sequence
    assert not {x.data_ptr(), out.data_ptr()} & kept.keys()


def test_a_compiler_sees_one_operator():
    layer, x = recurrent(neuron=AdLIF), 2 * torch.randn(20, 3, 20, requires_grad=True)
    operators = []

    def backend(graph, _):
        operators.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    assert torch.equal(torch.compile(layer, fullgraph=True, backend=backend)(x), layer(x))
    assert sum("neurodyn.coupled" in name for name in operators) == 1


def test_fake_tensors_lie_as_the_real_ones():
    case = Case("CSGRU", 0)
    mode = FakeTensorMode()
    links = {"feedback": case.feedback, "onward": case.onward}
    real, final, _ = scan(case.cell, case.inputs, case.state, backend="cpu", **links)
    leaves = [*case.inputs, *case.state]
    program, tensors = program_of(case.cell, 3, 3, torch.float32)
    call = "cpu", program.key, (0, 1, 2), (1, 2), True, True
    matrices = [*case.feedback, case.onward[2]]
    results = torch.ops.neurodyn.coupled(*call, leaves + tensors, matrices)
    with mode:
        fake = [mode.from_tensor(t) for t in (*leaves, *tensors, *matrices)]
        cut = len(leaves) + len(tensors)
        fakes = torch.ops.neurodyn.coupled(*call, fake[:cut], fake[cut:])
    assert [(f.shape, f.stride(), f.dtype) for f in fakes] == [
        (r.shape, r.stride(), r.dtype) for r in results
    ]
    assert all(map(torch.equal, results, (*real, *final)))


def test_the_kernels_are_differentiated_once():
    layer, x = recurrent(), torch.randn(5, 2, 20, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        grad.sum().backward()
    with pytest.raises(RuntimeError, match="one gradient at a time"):
        torch.autograd.grad(layer(x), x, torch.ones(2, 5, 2, 20), is_grads_batched=True)


def test_a_step_that_is_no_kernel_runs_in_the_loop():
    class Strange(Gated):
        def step(self, x, y, z, h, c):
            return super().step(x, torch.special.i0(y), z, h, c)

    case = Case("gated", 0)
    case.cell = Strange(case.inputs[0].shape[2])
    with pytest.warns(RuntimeWarning, match=r"scan: the plain loop runs instead .*i0"):
        case.run("auto", torch.float64)


def test_errors():
    cell, x, u, V = Gated(4), torch.randn(3, 2, 4), torch.zeros(1), torch.eye(4)

    def run(*feedback, inputs=(x,) * 3, states=(u, u), **options):
        return scan(cell, inputs, states, feedback=feedback, **options)

    with pytest.raises(ValueError, match=r"feedback: expected .* each of 3 inputs, got 2"):
        run(V, None)
    with pytest.raises(ValueError, match=r"feedback\[1\]: expected \(4, 4\), got \(4, 5\)"):
        run(V, torch.zeros(4, 5), None)
    with pytest.raises(ValueError, match=r"inputs: with feedback expected \(T, B, F\), got"):
        run(V, None, None, inputs=(x[..., None],) * 3)
    with pytest.raises(ValueError, match=r"feedback: expected a state that comes back"):
        run(V, None, None, states=())
    with pytest.raises(ValueError, match=r"onward: expected a state and an input .*got 1, 2"):
        run(V, None, None, onward=(1, 2, V))
    with pytest.raises(ValueError, match=r"onward: expected \(4, 4\), got \(3, 4\)"):
        run(V, None, V, onward=(1, 2, V[:3]))
    with pytest.raises(ValueError, match=r"'cpu' cannot run this: the state that goes onward"):
        run(V, V, V, onward=(0, 2, V), backend="cpu")
    with pytest.raises(TypeError, match=r"feedback\[0\]: expected a matrix, got float"):
        run(0.5, None, None)
    for backend in ("gpu", "parallel"):
        with pytest.raises(ValueError, match=f"'{backend}' cannot run this"):
            run(V, None, None, backend=backend)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_states_are_recorded(backend):
    case = Case("CSGRU", 1)
    links = {"feedback": case.feedback, "onward": case.onward, "backend": backend}
    outputs, final, recorded = scan(case.cell, case.inputs, case.state, record=True, **links)
    for t in (0, 3, len(outputs[0]) - 1):
        some = [x[: t + 1] for x in case.inputs]
        _, expected, _ = scan(case.cell, some, case.state, **links)
        torch.testing.assert_close(tuple(u[t] for u in recorded), expected)
    torch.testing.assert_close(tuple(u[-1] for u in recorded), final)
