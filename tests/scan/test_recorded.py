"""States and charged membranes over time, by a kernel."""

import warnings

import pytest
import torch

from neurodyn.layers import Delayed
from neurodyn.neurons import LIF, LNM, CubaLIF, Modal, MultiTimescale, Planar
from neurodyn.scan import scan
from tests.scan.contract import TwoInputs, error

NEURONS = [LIF, LNM, CubaLIF, MultiTimescale, Planar, Modal]


def recorded(neuron, x, backend, drive=None):
    """What a neuron records, and the gradients of a loss on all of it."""
    neuron.backend = backend
    neuron.zero_grad()
    x = x.detach().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = neuron.record(x, drive=drive)
    sum((y * (i + y).sin().detach()).sum() for i, y in enumerate(record.values())).backward()
    grads = {name: p.grad for name, p in neuron.named_parameters()}
    return {**{k: v.detach() for k, v in record.items()}, "x": x.grad, **grads}


@pytest.mark.parametrize("steps", [3, 40])
@pytest.mark.parametrize("kind", NEURONS)
def test_a_kernel_records_what_the_loop_records(kind, steps):
    torch.manual_seed(0)
    neuron = kind((6,), per="neuron").double()
    x = torch.randn(steps, 5, 6, dtype=torch.float64)
    drive = torch.randn_like(x)
    for given in (None, drive):
        truth = recorded(neuron, x, "reference", given)
        kernel = recorded(neuron, x, "cpu", given)
        assert kernel.keys() == truth.keys()
        assert {"spikes", "h", *neuron.states} <= kernel.keys()
        for name, value in truth.items():
            assert error(kernel[name], value) < 1e-10, name


def test_states_of_half_precision_inputs_are_recorded_in_float32():
    record = LIF().record(torch.randn(4, 2, 6).bfloat16())
    assert record["spikes"].dtype == torch.bfloat16
    assert record["u"].dtype == record["u"].float().dtype


def test_several_outputs_and_final_states():
    cell, inputs = TwoInputs(), (torch.randn(5, 2, 7), torch.randn(5, 2, 7))
    state = (torch.zeros(2, 7),)
    truth = scan(cell, inputs, state, backend="reference", record=True)
    found = scan(cell, inputs, state, backend="cpu", record=True)
    for group, expected in zip(found, truth, strict=True):
        assert len(group) == len(expected)
        for value, exact in zip(group, expected, strict=True):
            torch.testing.assert_close(value, exact)
    assert torch.equal(found[2][0][-1], found[1][0])


def test_a_compiled_function_may_record():
    torch._dynamo.reset()
    neuron, x = LIF(), torch.randn(4, 2, 6)
    compiled = torch.compile(neuron.record, fullgraph=True, backend="aot_eager")
    for name, value in compiled(x).items():
        assert torch.equal(value, neuron.record(x)[name])


def test_delays_drive_what_is_recorded():
    layer = Delayed(6, neuron=LIF, order=3)
    x = torch.randn(9, 2, 6)
    record = layer.neuron.record(x, drive=layer.line(x))
    assert torch.equal(record["spikes"], layer(x))
