"""The parts of a kernel, cut out of the graph."""

import torch
from torch import nn

from neurodyn.neurons import ALIF, LIF
from neurodyn.scan.parts import gate
from neurodyn.scan.plan import plan_of


class Step(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def step(self, x, u):
        return self.function(x, u)


def gate_of(cell, n_states=1):
    plan, _ = plan_of(cell, 1, n_states, torch.float32)
    parts, _ = plan.parts((True,) * len(plan.trace.vjp))
    return gate(parts)


def test_the_gate_of_a_neuron_is_its_charged_membrane():
    for neuron in (LIF(), ALIF()):
        found = gate_of(neuron, len(neuron.states))
        assert found.op == "add"
        assert "x" in map(str, found.args)


def test_the_gate_is_the_last():
    def step(x, u):
        h = torch.tanh(u + x)
        return h * h, 0.5 * h

    assert gate_of(Step(step)).op == "tanh"


def test_no_gate_where_an_input_goes_two_ways_or_nowhere_or_only_forward():
    assert gate_of(Step(lambda x, u: (torch.tanh(x) * u, torch.sigmoid(x) + u))) is None
    assert gate_of(Step(lambda x, u: (torch.tanh(u), 0.5 * u))) is None
    assert gate_of(Step(lambda x, u: (u + x, u + x))) is None
