"""What a trace sees of the cell and of the world around it."""

import re
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from neurodyn.neurons import LIF, LNM, Neuron
from neurodyn.scan import scan, why_not
from tests.scan.contract import error
from tests.scan.test_scan import Step


def fresh():
    """A step that nothing has traced yet."""
    return Step(lambda x, u: (torch.tanh(x + 0.5 * u), u + x))


ARGUMENTS = (torch.randn(12, 4),), (torch.zeros(4),)
MODES = {
    "flops": lambda: FlopCounterMode(display=False),
    "fake": lambda: FakeTensorMode(allow_non_fake_inputs=True),
    "meta": lambda: torch.device("meta"),
    "anomaly": torch.autograd.detect_anomaly,
}


@pytest.mark.filterwarnings("ignore:Anomaly")
@pytest.mark.parametrize("name", MODES)
def test_the_caller_s_mode_is_not_the_trace_s(name):
    cell = fresh()
    with MODES[name]():
        assert why_not(cell, *ARGUMENTS) is None
    assert why_not(cell, *ARGUMENTS) is None


def test_captured_by_others_as_one_operator():
    cell = fresh()
    graph = make_fx(lambda x, u: scan(cell, (x,), (u,))[0][0], tracing_mode="symbolic")
    nodes = graph(ARGUMENTS[0][0], ARGUMENTS[1][0]).graph.nodes
    assert any("neurodyn.scan" in str(node.target) for node in nodes)


@pytest.mark.parametrize(
    "peek",
    [
        lambda u: torch.as_tensor(u.detach().numpy()),
        lambda u: u.detach().tolist(),
        lambda u: torch.as_tensor(np.sin(u.detach())),
    ],
    ids=["numpy", "tolist", "__array__"],
)
def test_numbers_taken_out_of_pytorch_are_refused(peek):
    reason = why_not(Step(lambda x, u: (x * peek(u), u)), *ARGUMENTS)
    assert "takes a tensor's numbers out of PyTorch" in reason
    assert "test_trace.py" in reason


MOVED = {
    "t": (lambda x, u: (x.t() + u, u), "'t' is not"),
    "T": (lambda x, u: (x.T + u, u), "is not an elementwise"),
    "uint8": (lambda x, u: ((300 * x).to(torch.uint8) * u, u), "torch.uint8"),
    "int8": (lambda x, u: ((300 * x).to(torch.int8) * u, u), "torch.int8"),
    "int16": (lambda x, u: ((300 * x).short() * u, u), "torch.int16"),
    "floor": (lambda x, u: (torch.div(x, u, rounding_mode="floor"), u), r"floor\(a / b\)"),
}


@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")
@pytest.mark.parametrize("name", MOVED)
def test_what_scalars_do_not_show_is_refused(name):
    function, message = MOVED[name]
    with pytest.raises(ValueError, match=message):
        scan(Step(function), *ARGUMENTS, backend="cpu")


class Masked(Neuron):
    def __init__(self, mask, **options):
        super().__init__(**options)
        self.register_buffer("mask", mask)

    def step(self, x, u):
        return self.fire(torch.where(self.mask, u, 0.0) + x * self.mask)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_a_mask_is_an_argument(backend):
    neuron, x = Masked(torch.tensor([True, False, True, True])), torch.randn(6, 3, 4)
    for mask in (neuron.mask, ~neuron.mask):
        neuron.mask = mask
        grads = []
        for neuron.backend in ("reference", backend):
            leaf = x.clone().requires_grad_()
            spikes = neuron(leaf)
            (spikes * x.sin()).sum().backward()
            grads.append((spikes, leaf.grad))
        assert torch.equal(grads[0][0], grads[1][0])
        assert error(grads[1][1], grads[0][1]) < 1e-6


def test_a_buffer_of_integers_is_refused_as_such():
    class Divided(Masked):
        def step(self, x, u):
            return self.fire(x / self.mask + u)

    reason = why_not(Divided(torch.tensor(3)), *ARGUMENTS)
    assert "torch.int64; a kernel's arguments are real or masks" in reason


def test_an_attribute_that_holds_itself():
    neuron, owner = LIF(), types.SimpleNamespace()
    owner.me, owner.list = owner, [owner]
    neuron.owner = owner
    assert why_not(neuron, (torch.randn(3, 2),), (torch.zeros(()),)) is None


def test_results_of_parameters_alone_are_as_large_as_a_step():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = nn.Parameter(torch.tensor(0.3))

        def step(self, x, u):
            return 2 * self.p, 1 * self.p

    cell, results = Constant(), []
    for backend in ("reference", "cpu"):
        (output,), (final,), _ = scan(cell, *ARGUMENTS, backend=backend)
        loss = output.sum() + final.sum()
        results.append((output, final, torch.autograd.grad(loss, cell.p)[0]))
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b)


def test_a_result_that_is_no_step_is_an_error():
    cell = Step(lambda x, u: (torch.stack([x, x]), u))
    with pytest.raises(ValueError, match=r"shape of a step, \(4,\), got \(2, 4\)"):
        scan(cell, *ARGUMENTS, backend="reference")


def test_a_first_result_needs_no_compiler_stack():
    code = (
        "import sys, torch; from neurodyn.neurons import LNM;"
        "LNM(backend='cpu')(torch.randn(4, 3, requires_grad=True)).sum().backward();"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch._dynamo", "torch._inductor", "sympy"} & set(done.stdout.split())


UNDER_COMPILE = """
import torch
from neurodyn.scan import scan
from tests.scan.test_scan import Step

for steps in (4, 20):
    cell, x = Step(lambda x, u: (torch.erfinv(0.1 * u) + x, u)), torch.randn(steps, 3)
    compiled = torch.compile(
        lambda x: scan(cell, (x,), (x[0],), backend="cpu")[0][0], backend="eager"
    )
    try:
        compiled(x)
    except ValueError as error:
        print(error)
"""


def test_a_backend_that_cannot_run_is_an_error_under_compile():
    """In a process of its own: past the error, PyTorch compiles what it meets in Python, and takes
    half a minute where many programs are known."""
    command = [sys.executable, "-c", UNDER_COMPILE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(re.match(r"backend: 'cpu' cannot run this: .*erfinv", line) for line in lines)


def test_compiles_for_any_batch_and_height():
    torch._dynamo.reset()
    neuron = LIF()
    compiled = torch.compile(neuron, fullgraph=True, dynamic=True, backend="aot_eager")
    for batch in (3, 5):
        x = torch.randn(4, batch, 6, requires_grad=True)
        for neuron.spike.scale in (1.5, 1.7, 1.9):
            (given,) = torch.autograd.grad(compiled(x).sum(), x)
            (expected,) = torch.autograd.grad(neuron(x).sum(), x)
            assert error(given, expected) < 1e-6


def test_a_copy_made_for_a_call_is_the_neuron_s_own_kind():
    neuron = LNM()
    before = dict(neuron.__dict__)
    neuron.charge(torch.zeros(3), torch.zeros(3))
    neuron.driven_step(torch.zeros(3), torch.zeros(3), torch.zeros(3))
    assert neuron.__dict__ == before
    assert not neuron.spike.silent


class Keeper:
    """A hook that keeps something which cannot be copied, as regularisers keep spikes."""

    def __init__(self):
        self.kept = torch.ones(2, requires_grad=True) * 2

    def __call__(self, module, inputs, output):
        pass


def test_what_hooks_hold_does_not_stand_in_the_way():
    cell, keeper = fresh(), Keeper()
    cell.register_forward_hook(keeper)
    assert why_not(cell, *ARGUMENTS) is None
    assert list(cell._forward_hooks.values()) == [keeper]
