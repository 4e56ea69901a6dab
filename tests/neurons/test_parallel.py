"""All steps at once: the numbers of the loop, for linear dynamics; everything else is refused."""

import pytest
import torch

from neurodyn.layers import Delayed, Recurrent, Stream
from neurodyn.neurons import LIF, Modal, Planar
from neurodyn.neurons.parallel import CHUNK, membrane
from neurodyn.scan import scan
from tests.scan.contract import error, run

LENGTHS = [1, 2, CHUNK, CHUNK + 1, 3 * CHUNK, 197]
SHAPES = [((6,), "neuron"), ((6,), "layer"), ((3, 2, 2), "channel"), ((2, 3), "neuron")]
MODES = [{"modes": 1}, {"modes": 3}, {"modes": 2, "oscillate": False}]


def made(features=(6,), **options):
    options = {"learn_threshold": True, "learn_initial": True, "horizon": 50} | options
    return Modal(features, backend="parallel", **options).double()


def compare(neuron, x, state=None):
    """Spikes, final states and all gradients, in float64."""
    weight, final = torch.randn(x.shape).double(), torch.randn(x.shape[1:]).double()
    truth = run(neuron, x, weight, final, "reference", state)
    for name, value in run(neuron, x, weight, final, "parallel", state).items():
        assert error(value, truth[name]) < 1e-10, name
    return truth["spikes"]


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize(("features", "per"), SHAPES)
@pytest.mark.parametrize("options", MODES)
def test_the_numbers_of_the_loop(T, features, per, options):
    neuron = made(features, per=per, **options)
    x = 2 * torch.randn(T, 3, *features).double()
    state = tuple(torch.randn(3, *features).double() for _ in neuron.states)
    compare(neuron, x)
    spikes = compare(neuron, x, state)
    assert T < 10 or 0.05 < spikes.mean() < 0.95


def test_two_thousand_steps():
    compare(made(horizon=2000), torch.randn(2000, 2, 6).double())


def test_long_memories_and_short_ones():
    """Poles next to the circle, and at 0."""
    neuron = made((3,), modes=3, tau=[1e5, 1e-4, 1.0], period=[2.5, 6.0, 1e6])
    compare(neuron, torch.randn(300, 2, 3).double())
    neuron = made((3,), modes=2, oscillate=False, tau=[1e5, 1e-4])
    compare(neuron, torch.randn(300, 2, 3).double())


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_drive_and_affine(driven, mapped):
    neuron = made()
    found = []
    for backend in ("reference", "parallel"):
        neuron.backend = backend
        torch.manual_seed(1)
        x = torch.randn(70, 2, 6).double().requires_grad_()
        drive = torch.randn(70, 2, 6).double().requires_grad_() if driven else None
        affine = (torch.rand(6).double(), torch.rand(6).double()) if mapped else None
        for leaf in affine or ():
            leaf.requires_grad_()
        spikes, state = neuron(x, drive=drive, affine=affine, return_state=True)
        leaves = [x, *(affine or ()), *([drive] if driven else [])]
        loss = (spikes * torch.randn(spikes.shape)).sum() + sum(u.sum() for u in state)
        found.append((spikes, *state, *torch.autograd.grad(loss, leaves)))
    for loop, parallel in zip(*found, strict=True):
        assert error(parallel, loop) < 1e-10


def test_on_a_stream_and_in_layers():
    x = 2 * torch.randn(75, 2, 6).double()
    for layer in (made(), Delayed((6,), neuron=made, order=3)):
        layer, whole = layer.double(), layer.double()(x)
        stream = Stream(layer)
        assert torch.equal(torch.cat([stream(x[:40]), stream(x[40:41]), stream(x[41:])]), whole)
    # A recurrent layer runs the step itself.
    layer = Recurrent((6,), neuron=made).double()
    assert layer(x).sum() > 0


def test_what_is_recorded():
    neuron, x = made(), torch.randn(40, 2, 6).double()
    record, spikes = neuron.record(x), neuron(x)
    assert list(record) == ["spikes", "h", *neuron.states]
    assert torch.equal(record["spikes"], spikes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_less_precise_numbers(dtype):
    neuron = made().float()
    x = torch.randn(200, 4, 6).to(dtype)
    parallel, state = neuron(x, return_state=True)
    neuron.backend = "reference"
    loop, loop_state = neuron(x, return_state=True)
    assert parallel.dtype == dtype
    assert parallel.is_contiguous()
    assert all(u.dtype == torch.float32 for u in state)
    assert (parallel != loop).double().mean() < 1e-3
    torch.testing.assert_close(state, loop_state)


def test_autocast_does_not_round_the_products():
    neuron, x = made().float(), torch.randn(100, 2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        _, rounded = neuron(x, return_state=True)
    torch.testing.assert_close(rounded, neuron(x, return_state=True)[1], rtol=0, atol=0)


def test_shapes_alone():
    with torch.device("meta"):
        neuron = Modal((6,), backend="parallel")
        spikes, state = neuron(torch.empty(70, 2, 6), return_state=True)
    assert spikes.shape == (70, 2, 6)
    assert {u.shape for u in state} == {(2, 6)}
    empty = made()(torch.empty(5, 0, 6).double())
    assert empty.shape == (5, 0, 6)


def test_compiled_without_a_break():
    torch._dynamo.reset()
    neuron, x = made(), torch.randn(70, 2, 6).double()
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    found = []
    for call in (neuron, compiled):
        neuron.zero_grad()
        spikes, state = call(x, return_state=True)
        (spikes.sum() + sum(u.sum() for u in state)).backward()
        found.append([spikes, *state, *(p.grad.clone() for p in neuron.parameters())])
    torch.testing.assert_close(*found)


def test_exported_as_the_loop():
    neuron, x = made(), torch.randn(12, 2, 6).double()
    program = torch.export.export(neuron, (x,))
    assert "scan" in str(program.graph)
    assert torch.equal(program.module()(x), neuron(x))


def test_differentiated_twice_and_in_batches():
    """Kernels refuse both."""
    neuron = made((2,), learn_initial=False)
    neuron.spike = torch.nn.Identity()
    neuron.spike.silent = neuron.spike.derived = False
    x = torch.randn(40, 1, 2).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: neuron(x).square(), x, fast_mode=True)
    jacobian = torch.func.jacrev(neuron)(x)
    assert torch.equal(jacobian[3, ..., 4:, :, :], torch.zeros_like(jacobian[3, ..., 4:, :, :]))


class Own(Planar):
    def step(self, x, u, v):
        return self.fire(u + x), v


def test_what_is_not_linear_is_refused():
    start = "backend: 'parallel' cannot run this: expected linear dynamics .*, got "
    for make, got in [
        (LIF, "LIF"),
        (lambda **k: Modal((3,), feedback="soft", **k), "Modal with feedback='soft'"),
        (lambda **k: Planar((3,), degree=3, **k), "Planar with degree=3"),
        (Own, "Own with a step of its own"),
    ]:
        with pytest.raises(ValueError, match=start + got):
            make(backend="parallel")
        neuron = make()
        neuron.backend = "parallel"
        x = torch.randn(4, 2, 3)
        for options in ({}, {"drive": x}):
            with pytest.raises(ValueError, match=start + got):
                neuron(x, **options)
    with pytest.raises(ValueError, match=start + "Identity"):
        scan(torch.nn.Identity(), (x,), (), backend="parallel")


def test_chosen_by_name_alone(monkeypatch):
    monkeypatch.setattr("neurodyn.neurons.modal.membrane", None)
    Modal((3,))(torch.randn(40, 2, 3))
    with pytest.raises(TypeError):
        Modal((3,), backend="parallel")(torch.randn(40, 2, 3))


def test_memory_does_not_grow_with_the_modes():
    """The membrane is kept, and no mode over time."""
    kept = []
    x = torch.randn(1600, 8, 4).double().requires_grad_()
    for modes in (1, 6):
        sizes = {}

        def keep(tensor, sizes=sizes):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            made((4,), modes=modes)(x)
        kept.append(sum(sizes.values()) / x.untyped_storage().nbytes())
    assert kept[0] < 3
    assert kept[1] < 2 * kept[0]


def test_a_mode_of_a_single_neuron_by_hand():
    x = torch.tensor([1.0, 0.0, 0.0, 2.0]).double().reshape(4, 1, 1)
    half, one = torch.full((1,), 0.5).double(), torch.ones(1).double()
    h, (last,) = membrane(x, (torch.full((1,), 4.0).double(),), [half, one], 1)
    assert h.flatten().tolist() == [3.0, 1.5, 0.75, 2.375]
    assert last.tolist() == [[2.375]]
