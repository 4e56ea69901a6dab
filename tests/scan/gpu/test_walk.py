"""Programs visit every element once, and their sums are gradients, however they are shared out."""

import os

import pytest
import torch

from neurodyn.neurons import ALIF, LNM
from neurodyn.scan.bind import bind_backward, bind_forward
from neurodyn.scan.gpu import sizes, walk
from neurodyn.scan.gpu.sizes import Sizes
from neurodyn.surrogate import Triangle
from tests.scan.contract import check, error, run

needs_interpreter = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1"
)


@pytest.fixture
def few_programs(monkeypatch):
    """Two programs along groups, so that each visits many blocks."""
    monkeypatch.setattr(walk, "PROGRAMS", 2)
    for bound in (bind_forward, bind_backward):
        bound.cache_clear()
    yield
    for bound in (bind_forward, bind_backward):
        bound.cache_clear()


@needs_interpreter
@pytest.mark.parametrize(
    ("features", "per", "batch", "steps"),
    [
        ((5,), "neuron", 37, 3),  # A row that is narrower than a program.
        ((5,), "neuron", 37, 16),
        ((130,), "neuron", 19, 10),  # Several columns; the last is not full.
        ((3, 17, 17), "channel", 5, 3),  # A number for a column.
        ((3, 17, 17), "channel", 5, 10),
        ((6, 2, 2), "channel", 40, 16),  # A row, whose sums are added up over space.
        ((6, 2, 2), "layer", 9, 16),
    ],
)
def test_groups_of_blocks(features, per, batch, steps, few_programs):
    neuron = LNM(
        features, per=per, learn_threshold=True, learn_initial=True, surrogate=Triangle(learn=True)
    )
    state = (0.3 * torch.randn(batch, *features),) if steps == 16 else None
    with sizes.only(Sizes(2, 2)):
        check(neuron, torch.randn(steps, batch, *features), "gpu", torch.float32, state)


@needs_interpreter
def test_channels_last_in_groups(few_programs):
    neuron = ALIF((4, 3, 3), per="channel", learn_threshold=True)
    x = torch.randn(10, 40, 3, 3, 4).movedim(-1, 2)
    check(neuron, x, "gpu", torch.float32)


@needs_interpreter
@pytest.mark.parametrize("each", [1, 2, 4])
def test_elements_of_a_thread(each):
    """Sums over a thread's elements come first; they may be one, or all of them."""
    with sizes.only(Sizes(each, 1)):
        check(LNM(learn_threshold=True), torch.randn(9, 3, 50), "gpu", torch.float32)


@needs_interpreter
def test_gradients_of_final_states_lie_anywhere():
    """Each state's rows lie as far apart as they do in the tensor that they are a part of."""
    neuron, x = LNM((6,), per="neuron"), torch.randn(10, 4, 6)
    found = []
    for backend in ("gpu", "reference"):
        neuron.backend = backend
        leaf = x.clone().requires_grad_()
        spikes, (u,) = neuron(leaf, return_state=True)
        wide = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
        torch.autograd.backward((spikes, u), (torch.ones_like(spikes), wide[:, :6]))
        found.append(leaf.grad)
    assert error(*found) < 1e-5


@needs_interpreter
def test_sums_are_the_same_for_all_sizes_of_a_program():
    """Not to the bit, but to rounding."""
    neuron, x = LNM((6, 4, 4), per="channel"), torch.randn(12, 16, 6, 4, 4)
    weight, final = torch.randn(x.shape), torch.randn(x.shape[1:])
    results = []
    for size in (Sizes(1, 1), Sizes(4, 8)):
        with sizes.only(size):
            results.append(run(neuron, x, weight, final, "gpu"))
    for name, value in results[0].items():
        assert value is None or error(value, results[1][name]) < 1e-5
