"""Tensors narrower than float32: kernels read and write them as they are."""

import pytest
import torch
from torch import nn

from neurodyn.neurons import ALIF, LNM
from neurodyn.scan import bind, scan
from neurodyn.scan.launch import Launch
from tests.scan.contract import TOLERANCE, error, run
from tests.scan.test_contract import TABLE, build

NARROW = [torch.bfloat16, torch.float16]
IDS = ["bf16", "f16"]


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.1))

    def step(self, x, u):
        return x * self.a, u + x


def scaled(x):
    (y,), *_ = scan(Scaled(), (x,), (torch.zeros(()),), backend="cpu")
    return y.detach()


@pytest.mark.parametrize("dtype", NARROW, ids=IDS)
def test_it_rounds_as_pytorch_does(dtype):
    # All normal numbers of the dtype, infinities and NaN; kernels take smaller ones as zero.
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    x = torch.where(every.float().abs() < 1e-37, 0.0, every)
    x = torch.cat([x, x[:5]])[None]
    truth = (x.float() * torch.tensor(1.1)).to(dtype)
    y = scaled(x)
    assert torch.equal(y.isnan(), truth.isnan())
    assert torch.equal(y.nan_to_num(), truth.nan_to_num())


def test_halves_round_to_even():
    x = torch.tensor([1.0, 1.0078125]).to(torch.bfloat16)
    half = Scaled()
    with torch.no_grad():
        half.a.fill_(1.00390625)  # Half a step above 1.
    (y,), *_ = scan(half, (x[None],), (torch.zeros(()),), backend="cpu")
    assert torch.equal(y[0], (x.float() * half.a.detach()).to(torch.bfloat16))
    assert y[0, 0] == 1.0


@pytest.mark.parametrize("dtype", NARROW, ids=IDS)
def test_nothing_is_converted_around_the_kernel(dtype, monkeypatch):
    launches = []
    bound = Launch.bound
    monkeypatch.setattr(Launch, "bound", lambda self: launches.append(self) or bound(self))
    bind.bind_forward.cache_clear()
    bind.bind_backward.cache_clear()
    x = torch.randn(4, 2, 300).to(dtype).requires_grad_()
    spikes = LNM(backend="cpu")(x)
    spikes.backward(torch.randn(x.shape).to(dtype))
    forward, backward = launches
    for launch, narrow in ((forward, 2), (backward, 3)):  # x, spikes; x, both gradients.
        assert launch.dtypes.count(dtype) == narrow
        assert all(make is None for i, make in launch.arguments if i == 0)


@pytest.mark.parametrize(("name", "j"), TABLE[::3])
def test_contract(name, j):
    """Against the plain loop, whose arithmetic is float32 too; or, where a long sum rounds more in
    that than in the kernel, against the loop in float64."""
    dtype = NARROW[j % 2]
    neuron, x, state = build(name, j)
    x = x.to(dtype)
    weight, final = torch.randn(x.shape).to(dtype), torch.randn(x.shape[1:])
    found = run(neuron, x, weight, final, "cpu", state)
    truth = run(neuron, x, weight, final, "reference", state)
    wide = state and tuple(s.double() for s in state)
    exact = run(neuron.double(), x.double(), weight.double(), final.double(), "reference", wide)
    for key, value in found.items():
        assert value is None or value.dtype == truth[key].dtype
        bound = torch.finfo(dtype).eps if key == "x" else 10 * TOLERANCE[torch.float32]
        assert min(error(value, truth[key]), error(value, exact[key])) <= bound, key


@pytest.mark.parametrize(
    "neuron",
    [LNM(), ALIF(per="channel", features=(8, 32, 32)), LNM(per="neuron", features=(8, 32, 32))],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_sequences_written_past_the_cache(neuron, layout):
    """Large ones, of two segments, in any of both layouts."""
    x = torch.randn(20 * 28, 8, 32, 32).to(torch.bfloat16).contiguous(memory_format=layout)
    x = x.unflatten(0, (20, 28))
    assert x.nbytes >= 1 << 23
    weight, final = torch.randn(x.shape).to(x.dtype), torch.zeros(x.shape[1:])
    truth = run(neuron, x, weight, final, "reference")
    given = run(neuron, x, weight, final, "cpu")
    assert given["spikes"].stride() == x.stride()
    for key in ("spikes", "x"):
        assert error(given[key], truth[key]) <= torch.finfo(x.dtype).eps


@pytest.mark.parametrize("dtype", NARROW, ids=IDS)
def test_dtypes_may_differ(dtype):
    """Narrow parameters, and a second input wider than the first."""
    neuron, results = LNM().to(dtype), {}
    for backend in ("reference", "cpu"):
        neuron.backend = backend
        torch.manual_seed(0)
        x = torch.randn(5, 3, 70).to(dtype).requires_grad_()
        drive = torch.randn(5, 3, 70).requires_grad_()
        spikes = neuron(x, drive=drive)
        grads = torch.autograd.grad(spikes, [x, drive, *neuron.parameters()], spikes.detach() + 1)
        results[backend] = [spikes, *grads]
    for truth, value in zip(*results.values(), strict=True):
        assert value.dtype == truth.dtype
        assert error(value, truth) <= 2 * torch.finfo(dtype).eps
