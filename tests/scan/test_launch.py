"""Launches: bound once, looked up after that, and right for whatever the tensors look like."""

import collections
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import neurodyn
from neurodyn.neurons import LIF, LNM
from neurodyn.scan import bind, scan
from neurodyn.scan import launch as launching
from tests.scan.contract import error
from tests.scan.test_scan import Step, gradients

PACKAGE = Path(neurodyn.__file__).parent
MOST = 60
"""A warm call of a layer, and its backward pass, take fewer calls of the package's functions."""


def calls(work):
    """What some work gives, and which functions of the package it calls, how many times each."""
    seen = collections.Counter()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            seen[frame.f_code.co_qualname] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = work()
    finally:
        sys.setprofile(before)
    return result, seen


def test_a_warm_call_takes_few_python_calls():
    neuron, x = LNM(backend="cpu"), torch.randn(4, 32, 100, requires_grad=True)
    grad = torch.randn(x.shape)
    neuron(x).backward(grad)
    spikes, forward = calls(lambda: neuron(x))
    _, backward = calls(lambda: spikes.backward(grad))
    assert 0 < forward.total() < MOST, forward
    assert 0 < backward.total() < MOST, backward


def test_a_warm_call_binds_nothing(monkeypatch):
    neuron, x = LNM(backend="cpu"), torch.randn(4, 32, 100, requires_grad=True)
    grad = torch.randn(x.shape)
    neuron(x).backward(grad)

    def bound(*_):
        raise AssertionError("a layout or a kernel is made")

    monkeypatch.setattr(launching.Launch, "__init__", bound)
    monkeypatch.setattr(launching, "layout_of", bound)
    known = [f.cache_info().currsize for f in (bind.bind_forward, bind.bind_backward)]
    neuron(x).backward(grad)
    # New numbers in the same places, and another neuron of the same equation.
    LNM(backend="cpu", tau=3.0)(torch.randn(4, 32, 100, requires_grad=True)).backward(grad)
    assert known == [f.cache_info().currsize for f in (bind.bind_forward, bind.bind_backward)]
    with pytest.raises(AssertionError, match="is made"):
        neuron(x[:3])


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


CHANGES = {
    "steps": lambda x: torch.cat([x, x.flip(0), x]),
    "batch": lambda x: x[:, :1],
    "features": lambda x: x[..., :2],
    "order": lambda x: channels_last(x.flatten(0, 1)).unflatten(0, x.shape[:2]),
    "every second": lambda x: torch.stack([x, x], 2)[:, :, 0],
    "float64": lambda x: x.double(),
    "bfloat16": lambda x: x.bfloat16(),
    "expanded": lambda x: x[:1].expand(x.shape),
    "negative": lambda x: torch._neg_view(-x),
    "zero": lambda x: torch._efficientzerotensor(x.shape),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_another_look_is_another_launch(name, per):
    """Each change comes to a neuron that is warm, and that is as before when it is over."""
    neuron, x = LNM((3, -1, -1), per=per), torch.randn(6, 2, 3, 4, 4)
    warm = gradients(neuron, x, "cpu")
    changed = CHANGES[name](x)
    narrow = changed.dtype == torch.bfloat16
    for given, truth in zip(
        gradients(neuron, changed, "cpu"), gradients(neuron, changed, "reference"), strict=True
    ):
        assert given.dtype == truth.dtype
        assert given.shape == truth.shape
        assert error(given, truth) < (1e-2 if narrow else 1e-5)
    assert all(torch.equal(a, b) for a, b in zip(warm, gradients(neuron, x, "cpu"), strict=True))


@pytest.mark.parametrize("who", ["x", "state", "parameters", "nothing"])
def test_another_wish_for_gradients_is_another_launch(who):
    neuron, x, u = LNM((5,), per="neuron"), torch.randn(20, 2, 5), torch.randn(2, 5)
    gradients(neuron, x, "cpu")
    neuron.requires_grad_(who == "parameters")
    leaves = {"x": [x], "state": [u], "parameters": list(neuron.c), "nothing": []}[who]
    for leaf in leaves:
        leaf.requires_grad_()
    results = []
    for neuron.backend in ("reference", "cpu"):
        spikes, (final,) = neuron(x, (u,), return_state=True)
        assert spikes.requires_grad == final.requires_grad == bool(leaves)
        loss = (spikes * torch.arange(200).reshape(spikes.shape).sin()).sum() + final.sum()
        results.append([spikes, final, *(torch.autograd.grad(loss, leaves) if leaves else ())])
    for truth, given in zip(*results, strict=True):
        assert error(given, truth) < 1e-6


class Two(nn.Module):
    """Two outputs and two states, of which a loss may use one."""

    def __init__(self):
        super().__init__()
        self.a, self.unused = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.tensor(1.0))

    def step(self, x, u, v):
        return torch.tanh(u + x), self.a * v, 0.5 * u + x, torch.sin(v) - self.a


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (3,), (0, 3), (1, 2)])
def test_gradients_that_are_not_given_count_as_zero(used):
    cell, x = Two(), torch.randn(20, 3, 7, requires_grad=True)
    state = tuple(torch.randn(3, 7, requires_grad=True) for _ in range(2))
    leaves, grads = [x, *state, cell.a], []
    for backend in ("reference", "cpu"):
        outputs, finals, _ = scan(cell, (x,), state, backend=backend)
        results = (*outputs, *finals)
        loss = sum(
            (results[i] * torch.arange(results[i].numel()).view_as(results[i]).sin()).sum()
            for i in used
        )
        grads.append(torch.autograd.grad(loss, leaves, allow_unused=True))
    for truth, given in zip(*grads, strict=True):
        assert error(given, torch.zeros_like(given) if truth is None else truth) < 1e-5


def test_the_number_of_threads_is_read_at_every_call():
    neuron, x, before = LIF(backend="cpu"), torch.randn(4, 64, 1000), torch.get_num_threads()
    runs = []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            runs.append(gradients(neuron, x, "cpu"))
    finally:
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


def test_a_replaced_parameter_is_read():
    neuron, x = LNM(backend="cpu"), torch.randn(4, 2, 9)
    neuron(x)
    neuron.c[1] = nn.Parameter(torch.tensor(0.4))
    neuron.threshold = torch.tensor(0.3)
    spikes = neuron(x)
    neuron.backend = "reference"
    assert torch.equal(spikes, neuron(x))


def test_tensors_on_several_devices_are_refused():
    cell = Step(lambda x, u: (x + u, u))
    with pytest.raises(ValueError, match="not all tensors of the cell are on cpu"):
        scan(cell, (torch.randn(3, 4),), (torch.zeros(4, device="meta"),), backend="cpu")


PRIVATE = re.compile(
    r"\btorch(\.\w+)*\._(?!_)\w+|from torch\S* import _|\bforward_ad\._|_dynamo_\w+|_is_zerotensor"
)


def test_private_names_of_pytorch_are_in_one_file():
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "torch_private.py"]
    found = [
        f"{path.relative_to(PACKAGE)}: {match.group()}"
        for path in files
        for match in PRIVATE.finditer(path.read_text())
    ]
    assert files
    assert not found
    assert PRIVATE.search((PACKAGE / "step/torch_private.py").read_text())
