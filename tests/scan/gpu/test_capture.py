"""A step of training can be captured in a CUDA graph: it stays on the device, and never waits.

Without a GPU, tensors of PyTorch's device "meta" stand in for a GPU's. They have shapes but no
memory, and a dispatch mode sees every operation on them.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from neurodyn.neurons import LIF, LNM, QIF, MultiTimescale, Planar, window
from neurodyn.scan.bind import bind_backward, bind_forward
from neurodyn.scan.launch import specs
from neurodyn.step.program import program_of
from neurodyn.surrogate import Triangle

NEURONS = {
    "LIF": LIF,
    "QIF, derived window": QIF,
    "MultiTimescale, derived window": MultiTimescale,
    "LNM": partial(LNM, surrogate=Triangle(learn=True), learn_threshold=True, learn_initial=True),
    "LNM, derived with the reset": partial(LNM, surrogate=Triangle("derived-reset")),
    "LNM per channel": partial(LNM, (6, 4, 4), per="channel"),
    "Planar per neuron": partial(Planar, (6, 4, 4), per="neuron"),
}
WAITING = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "is_nonzero", "equal")
CUDA, META = torch.device("cuda", 0), torch.device("meta")


class OnDevice(TorchDispatchMode):
    """Refuses what a capture would refuse."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.partition(".")[0]
        assert name not in WAITING, f"{name} waits for the device"
        out = func(*args, **(kwargs or {}))
        leaves = torch.utils._pytree.tree_leaves((args, kwargs, out))
        tensors = [t for t in leaves if isinstance(t, torch.Tensor)]
        # A number on the CPU goes with a kernel's arguments; no copy waits for it.
        devices = {t.device.type for t in tensors if t.ndim or "copy" in name}
        assert len(devices) <= 1, f"{name} copies between {devices}"
        return out


def like(value):
    return torch.empty(value.shape, dtype=value.dtype, device=META)


@pytest.fixture(params=NEURONS)
def neuron(request):
    """A neuron whose parameters have no memory. It is made of real ones, as it checks values."""
    made = NEURONS[request.param]()
    window._normal.cache_clear()
    for module in made.modules():
        for name, value in module._buffers.items():
            module._buffers[name] = like(value)
        for name, value in module._parameters.items():
            module._parameters[name] = nn.Parameter(like(value), value.requires_grad)
    made.backend = "gpu"
    yield made
    window._normal.cache_clear()  # Nothing without memory is left there.


@pytest.fixture
def no_kernel(monkeypatch):
    """Launches run as they do on a GPU, seen by the mode, but without their kernels."""
    monkeypatch.setattr("neurodyn.scan.gpu.Target.start", lambda *_: lambda tensors: None)
    monkeypatch.setattr("neurodyn.scan.op.plain", lambda tensors: True)
    for bound in (bind_forward, bind_backward):
        bound.cache_clear()
    with torch.no_grad():
        yield
    for bound in (bind_forward, bind_backward):
        bound.cache_clear()


def test_a_layer_stays_on_the_device(neuron, no_kernel):
    """Forward only: without a GPU, PyTorch's autograd has no stream to go back on."""
    x = torch.empty(12, 3, 6, 4, 4, device=META)
    neuron(x)  # What is made once is made before a capture.
    with OnDevice():
        y = neuron(x)
    assert y.device == META


@pytest.mark.parametrize("steps", [4, 20])
def test_both_launches_stay_on_the_device(neuron, steps, no_kernel):
    x = torch.empty(steps, 3, 6, 4, 4, device=META)
    program, parameters = program_of(neuron, 1, len(neuron.states), torch.float32)
    leaves = [x, *neuron.initial_state(), *parameters]
    forward = bind_forward("gpu", program.key, True, True, specs(leaves))
    with OnDevice():
        outputs = forward(leaves)
    tensors = [*leaves, *outputs]
    backward = bind_backward("gpu", program.key, (True,) * len(leaves), specs(tensors))
    with OnDevice():
        gradients = backward(tensors)
    assert [g.shape for g in gradients] == [leaf.shape for leaf in leaves]
    assert {g.device for g in gradients} == {META}


def test_copies_and_waits_are_seen():
    with OnDevice():
        with pytest.raises(AssertionError, match="_to_copy copies between"):
            torch.ones(3, device="cpu").to(META)
        with pytest.raises(AssertionError, match="nonzero waits for the device"):
            torch.ones(3, device="cpu").nonzero()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NEURONS)
def test_a_captured_step_replays(name):
    neuron = NEURONS[name]().cuda()
    x = torch.randn(12, 3, 6, 4, 4, device=CUDA, requires_grad=True)
    weight = torch.randn_like(x)

    def step():
        x.grad = None
        neuron.zero_grad()
        neuron(x).backward(weight)

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    captured = x.grad
    with torch.no_grad():
        x.copy_(torch.randn_like(x))
    graph.replay()
    replayed = captured.clone()
    step()
    assert torch.equal(replayed, x.grad)
