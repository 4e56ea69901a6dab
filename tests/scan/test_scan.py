"""The compiled scan around the kernels: dispatch, caches, memory, compilation, refusals."""

import multiprocessing
import os
import sys
import threading
import warnings

import pytest
import torch
from torch import nn

from neurodyn.files import MAKING
from neurodyn.neurons import ALIF, LIF, LNM, QIF
from neurodyn.scan import bind, cpu, kernel_source, scan, why_not
from neurodyn.surrogate import Rectangle, Triangle
from tests.scan.contract import TwoInputs, cubic, error

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")


def gradients(neuron, x, backend):
    neuron.backend = backend
    neuron.zero_grad()
    x = x.detach().requires_grad_()
    spikes = neuron(x)
    (spikes * torch.arange(spikes.numel()).reshape(spikes.shape).sin()).sum().backward()
    return [spikes.detach(), x.grad, *(p.grad for p in neuron.parameters() if p.grad is not None)]


@pytest.fixture
def changed(monkeypatch):
    """Change a constant of the CPU backend; launches that were bound before are forgotten."""

    def change(name, value):
        monkeypatch.setattr(cpu, name, value)
        forget()

    def forget():
        bind.bind_forward.cache_clear()
        bind.bind_backward.cache_clear()

    yield change
    forget()


def test_only_the_input_is_kept():
    neuron, x = cubic(), torch.randn(16, 8, 64, requires_grad=True)
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        neuron(x)
    # Besides the input, single numbers: the parameters, the initial state, the width.
    assert sorted(kept.values())[-2:] == [4, 4 * x.numel()]


def test_gradients_are_bitwise_repeatable_whatever_the_threads():
    neuron, x = cubic(), torch.randn(4, 64, 1000)
    before = torch.get_num_threads()
    runs = []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            runs.append(gradients(neuron, x, "cpu"))
    finally:
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.parametrize("segment", [1, 7, 16])
def test_long_time_in_segments(segment, changed):
    neuron, x = cubic(), torch.randn(20, 2, 100)
    whole = gradients(cubic().double(), x.double(), "reference")
    changed("SEGMENT", segment)
    for a, b in zip(whole, gradients(neuron, x, "cpu"), strict=True):
        assert error(b, a) < 1e-6


def test_large_outputs_are_written_past_the_cache(changed):
    neuron, x = cubic(), torch.randn(20, 2, 800)
    before = gradients(neuron, x, "cpu")
    changed("STREAMING", 0)
    for a, b in zip(before, gradients(neuron, x, "cpu"), strict=True):
        assert torch.equal(a, b)


def test_a_final_state_is_made_for_those_who_ask():
    neuron, x = cubic(backend="cpu"), torch.randn(5, 2, 100)
    start = (neuron.u_0,)
    (spikes,), nothing, _ = scan(neuron, (x,), start, final=False)
    (same,), (final,), _ = scan(neuron, (x,), start)
    assert nothing == ()
    assert torch.equal(spikes, same)
    (grad,) = torch.autograd.grad(final.sum(), neuron.c[1])
    (_,), (final,), _ = scan(neuron, (x,), start, backend="reference")
    (truth,) = torch.autograd.grad(final.sum(), neuron.c[1])
    assert error(grad, truth) < 1e-6


def test_a_changed_attribute_is_seen():
    neuron, x = LNM(), torch.randn(6, 4, 50)
    gradients(neuron, x, "cpu")
    neuron.clip_range = 0.3
    neuron.reset.detach = True
    assert error(gradients(neuron, x, "cpu")[1], gradients(neuron, x, "reference")[1]) < 1e-6


def test_a_derived_width_is_read_at_every_call():
    neuron, x = QIF(surrogate=Rectangle("derived")), torch.randn(6, 4, 50)
    gradients(neuron, x, "cpu")
    with torch.no_grad():
        neuron.a.fill_(0.6)
    assert error(gradients(neuron, x, "cpu")[1], gradients(neuron, x, "reference")[1]) < 1e-6


def test_two_inputs_and_two_outputs():
    cell = TwoInputs()
    x, y = torch.randn(2, 5, 3, 7).unbind(0)
    u = torch.randn(3, 7)
    expected, given = (scan(cell, (x, y), (u,), backend=b) for b in ("reference", "cpu"))
    for a, b in zip((*expected[0], *expected[1]), (*given[0], *given[1]), strict=True):
        assert error(b, a) < 1e-6


def test_chunks_of_time_give_what_one_call_gives():
    neuron, x = LNM(backend="cpu"), torch.randn(9, 3, 40)
    first, state = neuron(x[:4], return_state=True)
    second = neuron(x[4:], state)
    assert torch.equal(torch.cat([first, second]), neuron(x))


def test_an_image_expanded_over_time():
    neuron, x = LIF(), torch.randn(2, 3, 8, 8).expand(7, 2, 3, 8, 8)
    for a, b in zip(gradients(neuron, x, "reference"), gradients(neuron, x, "cpu"), strict=True):
        assert error(b, a) < 1e-6


def test_no_new_kernel_for_another_length_batch_or_value():
    from neurodyn.step.program import program_of

    neuron = LIF(surrogate=Triangle(0.9))
    gradients(neuron, torch.randn(3, 2, 5), "cpu")
    program, _ = program_of(neuron, 1, 1, torch.float32)
    before = dict(program.kernels)
    neuron.tau.fill_(3.0)
    gradients(neuron, torch.randn(50, 7, 5), "cpu")
    assert program_of(neuron, 1, 1, torch.float32)[0] is program
    assert program.kernels == before


class Step(nn.Module):
    """A cell around a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def step(self, x, u):
        return self.function(x, u)


OUTSIDE = torch.tensor(2.0)
REFUSED = {
    "cumsum": (lambda x, u: (x.cumsum(0), u), "cumsum"),
    "value": (lambda x, u: (x if u > 0 else -x, u), "needs the value"),
    "in place": (lambda x, u: (x, u.add_(x)), "in-place"),
    "foreign": (lambda x, u: (x * OUTSIDE, u), "not a parameter or buffer"),
    "random": (lambda x, u: (x + torch.rand(()), u), "rand"),
    "bool": (lambda x, u: (x > 0, u), "torch.bool"),
    "shape": (lambda x, u: (x * x.shape[-1], u), "'shape' reads"),
    "ndim": (lambda x, u: (x * u.ndim, u), "'ndim' reads"),
    "numel": (lambda x, u: (x / x.numel(), u), "'numel' reads"),
    "size": (lambda x, u: (x * sum(x.size()), u), "'size' reads"),
    "len": (lambda x, u: (x * len(x), u), "'len' reads"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_kernel_can_do_is_refused_with_the_line(name):
    function, message = REFUSED[name]
    cell = Step(function)
    x, u = torch.randn(3, 4), torch.zeros(4)
    reason = why_not(cell, (x,), (u,))
    assert reason is not None
    assert message in reason
    if name != "bool":
        assert f"{os.path.basename(__file__)}:{function.__code__.co_firstlineno}" in reason
    with pytest.raises(ValueError, match="backend: 'cpu' cannot run this"):
        scan(cell, (x,), (u,), backend="cpu")


def test_auto_falls_back_and_says_so_once():
    cell = Step(lambda x, u: (torch.erfinv(u * 0.1) + x, u))
    x, u = torch.randn(3, 4), torch.zeros(4)
    with pytest.warns(RuntimeWarning, match="erfinv"):
        outputs, _, _ = scan(cell, (x,), (u,))
    assert torch.equal(outputs[0], x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan(cell, (x,), (u,))


def test_what_does_not_broadcast_is_the_reference_s_error():
    assert "does not broadcast" in why_not(
        LIF((5,), per="channel"), (torch.randn(3, 2, 4),), (torch.zeros(()),)
    )


def test_inputs_that_are_not_sequences():
    neuron = LIF()
    with pytest.raises(ValueError, match=r"inputs: expected at least one sequence .* got none"):
        scan(neuron, (), neuron.initial_state())
    for shape in ((), (0, 3)):
        x = torch.zeros(shape)
        with pytest.raises(ValueError, match=r"inputs: expected .* one timestep, got \("):
            scan(neuron, (x,), neuron.initial_state())


@pytest.mark.parametrize("backend", ["reference", "parallel", "tpu"])
def test_why_not_is_asked_of_kernels(backend):
    with pytest.raises(ValueError, match=f"backend: .*{backend}"):
        why_not(LIF(), (torch.randn(3, 4),), LIF().initial_state(), backend=backend)


def test_twice_differentiated_is_refused():
    x = torch.randn(4, 2, 9, requires_grad=True)
    (grad,) = torch.autograd.grad(LIF(backend="cpu")(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        grad.sum().backward()


@pytest.mark.filterwarnings("ignore:scan:RuntimeWarning")
def test_functional_transforms_use_the_reference():
    neuron, x = LIF(), torch.randn(4, 2, 9)
    given = torch.func.grad(lambda x: neuron(x).sum())(x)
    assert error(given, gradients_of_sum(neuron, x)) < 1e-6


def gradients_of_sum(neuron, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(neuron(x).sum(), x)[0]


@pytest.mark.parametrize("steps", [4, 20])
def test_compiles_in_one_graph(steps):
    neuron, x = cubic(), torch.randn(steps, 2, 30)
    expected = gradients(neuron, x, "auto")
    compiled = torch.compile(neuron, fullgraph=True)
    x = x.requires_grad_()
    spikes = compiled(x)
    assert torch.equal(spikes, expected[0])
    (spikes * torch.arange(spikes.numel()).reshape(spikes.shape).sin()).sum().backward()
    assert error(x.grad, expected[1]) < 1e-5
    neuron.clip_range = 0.2
    assert torch.equal(compiled(x), neuron(x))


@pytest.mark.parametrize(("device", "kernels"), [("cpu", 1), ("meta", 0)])
def test_short_loops_are_left_to_the_compiler_except_on_the_cpu(device, kernels):
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    neuron, x = LIF().to(device), torch.zeros(4, 2, 30, device=device)
    torch.compile(neuron, fullgraph=True, backend=keep)(x)
    calls = [node for node in graphs[0].graph.nodes if "neurodyn.scan" in str(node.target)]
    assert len(calls) == kernels


def test_the_operator_keeps_pytorch_s_contract():
    from neurodyn.step.program import program_of

    neuron, x = cubic(), torch.randn(5, 2, 30, requires_grad=True)
    program, tensors = program_of(neuron, 1, 1, torch.float32)
    arguments = ("cpu", program.key, True, False, [x, neuron.u_0, *tensors])
    results = torch.library.opcheck(torch.ops.neurodyn.scan.default, arguments)
    assert set(results.values()) == {"SUCCESS"}


def test_the_derivative_says_how_its_gradients_lie():
    """A compiler takes the strides of the operator's fake results for those of its results."""
    from neurodyn.step.program import program_of

    neuron = LNM((3, 4, 5), per="neuron", learn_initial=True)
    maps = torch.randn(40, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    x = maps.unflatten(0, (20, 2))
    program, tensors = program_of(neuron, 1, 1, torch.float32)
    leaves = [leaf.detach() for leaf in (x, neuron.u_0, *tensors)]
    spikes, *checkpoints = torch.ops.neurodyn.scan("cpu", program.key, True, False, leaves)
    wanted = [True] * len(leaves)
    arguments = ("cpu", program.key, wanted, leaves, [torch.randn_like(spikes), None], checkpoints)
    results = torch.library.opcheck(
        torch.ops.neurodyn.scan_backward.default,
        arguments,
        test_utils=("test_schema", "test_faketensor"),
    )
    assert set(results.values()) == {"SUCCESS"}


def test_half_precision_input_is_computed_in_float32():
    neuron, x = LNM(), torch.randn(5, 2, 30).bfloat16()
    a, b = gradients(neuron, x, "reference"), gradients(neuron, x, "cpu")
    assert b[0].dtype == torch.bfloat16
    assert torch.equal(a[0], b[0])
    assert error(b[1], a[1]) < 1e-2


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")
def test_half_precision_is_stored_on_the_gpu():
    neuron, x = LNM(), torch.randn(11, 2, 30).half()
    a, b = gradients(neuron, x, "reference"), gradients(neuron, x, "gpu")
    assert torch.equal(a[0], b[0])
    assert error(b[1], a[1]) < 1e-2


def test_autocast_changes_nothing():
    neuron, x = LNM(clip="smooth"), torch.randn(5, 2, 30)
    expected = gradients(neuron, x, "cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = gradients(neuron, x, "cpu")
    assert all(torch.equal(a, b) for a, b in zip(expected, given, strict=True))


def test_threads_at_once():
    neuron, x = LNM(backend="cpu"), torch.randn(4, 64, 1000)
    expected, failures = neuron(x), []

    def work():
        failures.extend(1 for _ in range(20) if not torch.equal(neuron(x), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


def test_threads_at_once_on_a_neuron_whose_window_is_derived():
    """Each traces, or waits for another one's trace; nothing is written in between."""

    class Fresh(QIF):
        """A class of its own, whose step no other test has traced."""

    neuron, x = Fresh(backend="cpu"), torch.randn(4, 8, 32)
    begin, results = threading.Barrier(8), []

    def work():
        begin.wait(60)
        results.append(neuron(x))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 8, "a thread ended with an error"
    assert all(torch.equal(result, results[0]) for result in results)
    assert neuron.spike.width == 1


def _in_child(neuron, x, queue):
    torch.set_num_threads(2)
    # Counted by NumPy: PyTorch's own thread pool does not survive a fork.
    queue.put(int(neuron(x).detach().numpy().sum()))


@needs_fork
def test_a_forked_child_runs_kernels():
    neuron, x = LNM(backend="cpu"), torch.randn(4, 64, 1000)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _run_in_a_forked_child(neuron, x)
    finally:
        torch.set_num_threads(before)


def _run_in_a_forked_child(neuron, x):
    expected = int(neuron(x).detach().numpy().sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(neuron, x, queue))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(10)


@needs_fork
def test_a_fork_waits_for_what_is_in_the_making():
    making, done = threading.Event(), threading.Event()

    def make():
        with MAKING:
            making.set()
            done.wait(0.2)

    neuron, x = LIF(backend="cpu", reset="soft"), torch.randn(4, 2, 9)
    expected = int(neuron(x).detach().numpy().sum())
    neuron.spike.scale = 1.25  # A program that the child has to make.
    thread = threading.Thread(target=make)
    thread.start()
    making.wait()
    queue = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(neuron, x, queue))
    child.start()
    child.join(20)
    assert child.exitcode == 0, "the child hangs"
    assert queue.get() == expected
    thread.join()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_threads_that_charge_drive_and_run_one_neuron(backend):
    neuron = ALIF(surrogate=Triangle("derived"), backend=backend)
    x, drive = 2 * torch.randn(2, 30, 2, 5).unbind(0)[0], torch.randn(30, 2, 5)
    works = [
        lambda: neuron(x).sum(),
        lambda: neuron(x, drive=drive).sum(),
        lambda: neuron.charge(x[0], x[1], x[2])[0].sum(),
    ]
    expected, failures = [work() for work in works], []

    def repeat(i):
        for _ in range(15):
            try:
                failures.extend([i] * (works[i]() != expected[i]))
            except Exception as error:
                failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=repeat, args=(i % 3,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not failures


def test_the_source_can_be_read():
    source = LNM().kernel_source("gpu")
    assert "def step(i0_x, s0_u, p0_threshold, " in source
    assert "def pull(" in source
    compile(source, "kernel", "exec")
    source = LNM().kernel_source("cpu")
    assert 'define void @"forward"(i64 %"first", i64 %"last", i64 %"a")' in source
    assert "fmul contract reassoc arcp nsz <16 x float>" in source
    assert '_c_3"' in source
    with pytest.raises(ValueError, match="backend"):
        kernel_source(LNM(), "tpu")


def test_the_source_begins_with_its_loops():
    forward, backward = LNM().kernel_source("cpu").split("; backward\n")
    assert "for step: for 16 lanes of the column: step\n" in forward[:400]
    assert "for step, from the last: for 16 lanes of the column: replay, pull" in backward[:400]
    assert "for step: for 8 lanes" in LNM().double().kernel_source("cpu")
    source = LNM().kernel_source("gpu")
    assert source.startswith("# for column, group (in parallel)")
    assert "#         for segment of 8 steps, from the last" in source
