"""Parameters that differ within a column: blocks visited several at a time, rows read in place."""

import pytest
import torch

from neurodyn.neurons import LNM, MultiTimescale
from neurodyn.scan import bind
from neurodyn.scan.launch import Launch
from tests.scan.contract import check


@pytest.fixture
def launches(monkeypatch):
    """The launches that are bound in a test."""
    found, bound = [], Launch.bound
    monkeypatch.setattr(Launch, "bound", lambda self: found.append(self) or bound(self))
    bind.bind_forward.cache_clear()
    bind.bind_backward.cache_clear()
    return found


@pytest.mark.parametrize("handed_in", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "together"), [(1, 1), (2, 2), (7, 1), (8, 4), (38, 2), (36, 4)])
def test_any_number_of_blocks(batch, together, dtype, handed_in, launches):
    """By fours, twos or ones; one group or several; two segments of time; with a remainder."""
    generator = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    neuron = MultiTimescale(530, per="neuron", learn_initial=True, tau_mem=(2, 9), tau_syn=(2, 9))
    x = draw(19, batch, 530)
    state = tuple(draw(batch, 530) for _ in neuron.states) if handed_in else None
    check(neuron, x, "cpu", dtype, state)
    assert {launch.layout.together for launch in launches} == {together}


@pytest.mark.parametrize("batch", [1, 8])
def test_parameters_are_read_in_place(batch, launches):
    neuron = LNM((4, 90), per="neuron", backend="cpu")
    neuron(torch.randn(3, batch, 4, 90, requires_grad=True)).sum().backward()
    for launch in launches:
        kinds = {operand.kind for operand in launch.layout.operands}
        assert kinds == {"row"}
        places = range(1, 1 + len(launch.operands))
        assert all(launch.arguments[i] == (launch.operands[i - 1], None) for i in places)


def test_parameters_that_lie_otherwise_are_copied():
    """Where a step lies channels-last and the parameters do not, or the other way round."""
    for step, own in ((torch.channels_last, False), (torch.contiguous_format, True)):
        neuron = LNM((5, 16, 16), per="neuron", start="spread", reset="none")
        if own:
            with torch.no_grad():
                neuron.gain.set_(neuron.gain.permute(1, 2, 0).contiguous().permute(2, 0, 1))
            assert not neuron.gain.is_contiguous()
        x = torch.randn(3 * 4, 5, 16, 16, generator=torch.Generator().manual_seed(3))
        x = x.contiguous(memory_format=step).unflatten(0, (3, 4))
        check(neuron, x, "cpu", torch.float64)
