"""The functions of a kernel, cut out of the graph."""

import torch
from torch import nn

from neurodyn.neurons import ALIF, LIF
from neurodyn.step.functions import neck, split
from neurodyn.step.program import program_of


class Step(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def step(self, x, u):
        return self.function(x, u)


def functions_of(cell, n_states=1):
    program, _ = program_of(cell, 1, n_states, torch.float32)
    return program.functions((True,) * len(program.trace.vjp))[0]


def neck_of(cell, n_states=1):
    return neck(functions_of(cell, n_states))


def test_the_neck_of_a_neuron_is_its_charged_membrane():
    for neuron in (LIF(), ALIF()):
        found = neck_of(neuron, len(neuron.states))
        assert found.op == "add"
        assert "i0_x" in map(str, found.args)


def test_the_neck_is_the_last():
    def step(x, u):
        h = torch.tanh(u + x)
        return h * h, 0.5 * h

    assert neck_of(Step(step)).op == "tanh"


def test_no_neck_where_an_input_takes_two_paths_or_nowhere():
    assert neck_of(Step(lambda x, u: (torch.tanh(x) * u, torch.sigmoid(x) + u))) is None
    assert neck_of(Step(lambda x, u: (torch.tanh(u), 0.5 * u))) is None


def test_only_gradients_that_are_wanted_are_summed():
    functions = functions_of(LIF())
    trace = functions.trace
    inputs, states = len(trace.inputs), len(trace.states)
    without = [False] * len(trace.vjp)
    without[:inputs] = [True] * inputs
    assert split(trace, without).summed == ()
    assert split(trace, None).summed == ()
    without[inputs] = True
    assert split(trace, without).summed == trace.states[:1]
    # A state's gradient is carried through time, wanted or not.
    assert split(trace, [False] * len(trace.vjp)).gradient(trace.states[0]) is not None
    assert states > 0
