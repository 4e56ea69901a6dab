"""A step of training can be captured in a CUDA graph: it stays on the device, and never waits.

Without a GPU, fake tensors stand in for a GPU's. They have shapes and devices but no memory, and a
dispatch mode sees every operation on them.
"""

from functools import partial

import pytest
import torch
from torch._subclasses import FakeTensorMode
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
CUDA = torch.device("cuda", 0)


class OnDevice(TorchDispatchMode):
    """Refuses what a capture would refuse."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__.partition(".")[0]
        assert name not in WAITING, f"{name} waits for the device"
        leaves = torch.utils._pytree.tree_leaves((args, kwargs, out))
        tensors = [t for t in leaves if isinstance(t, torch.Tensor)]
        # A number on the CPU goes with a kernel's arguments; no copy waits for it.
        devices = {t.device.type for t in tensors if t.ndim or "copy" in name}
        assert len(devices) <= 1, f"{name} copies between {devices}"
        return out


@pytest.fixture
def fakes():
    """A mode of fake tensors; nothing fake is left in a cache."""
    window._normal.cache_clear()
    with FakeTensorMode() as mode:
        yield mode
    window._normal.cache_clear()


def on_device(name):
    with torch.device(CUDA):
        return NEURONS[name]()


@pytest.mark.parametrize("name", NEURONS)
def test_a_step_stays_on_the_device(name, fakes):
    neuron = on_device(name)
    x = torch.empty(12, 3, 6, 4, 4, device=CUDA, requires_grad=True)
    neuron(x).sum().backward()  # What is made once is made before a capture.
    with OnDevice():
        y = neuron(x)
        y.backward(torch.ones_like(y))
    assert x.grad.device == CUDA


@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("name", NEURONS)
def test_a_launch_stays_on_the_device(name, steps, fakes, monkeypatch):
    """The operator hides its launch from the dispatcher; here it runs alone, without its kernel."""
    monkeypatch.setattr("neurodyn.scan.gpu.Target.start", lambda *_: lambda tensors: None)
    bind_forward.cache_clear()
    bind_backward.cache_clear()
    neuron = on_device(name)
    x = torch.empty(steps, 3, 6, 4, 4, device=CUDA)
    program, parameters = program_of(neuron, 1, len(neuron.states), torch.float32)
    leaves = [x, *neuron.initial_state(), *parameters]
    forward = bind_forward("gpu", program.key, True, True, specs(leaves))
    with OnDevice():
        outputs = forward(leaves)
    n = len(neuron.states)
    tensors = [*leaves, outputs[0], *outputs[1 : 1 + n], *outputs[1 + n :]]
    backward = bind_backward("gpu", program.key, (True,) * len(leaves), specs(tensors))
    with OnDevice():
        gradients = backward(tensors)
    assert [g.shape for g in gradients] == [leaf.shape for leaf in leaves]
    bind_forward.cache_clear()
    bind_backward.cache_clear()


def test_a_copy_from_the_host_is_seen(fakes):
    with OnDevice(), pytest.raises(AssertionError, match="_to_copy copies between"):
        torch.ones(3, device="cpu").to(CUDA)
    with OnDevice(), pytest.raises((AssertionError, RuntimeError)):
        torch.ones(3, device=CUDA).sum().item()


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
