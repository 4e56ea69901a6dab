import warnings

import pytest
import torch
from torch import nn

from neurodyn.layers import CSGRU, GatedCell, SpikGRU, repeat
from neurodyn.neurons import dynamics_parameters
from neurodyn.surrogate import Rectangle, Triangle
from tests.layers.cells import T, every_cell, lively


@every_cell
@pytest.mark.parametrize("kernel", [None, 3])
def test_in_chunks(cell, kernel):
    cell = cell(2, 4, kernel, threshold=0.2)
    x = torch.rand(7, 2, 2, *(() if kernel is None else (5, 5)))
    whole, end = cell(x, return_state=True)
    first, state = cell(x[:3], return_state=True)
    second, state = cell(x[3:], state, return_state=True)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(state, end)


@every_cell
@pytest.mark.parametrize("kernel", [None, 3])
def test_what_is_recorded_is_the_state_after_each_step(cell, kernel):
    cell = cell(2, 4, kernel, threshold=0.2)
    x, state, after = torch.rand(7, 2, 2, *(() if kernel is None else (5, 5))), None, []
    for t in range(len(x)):
        _, state = cell(x[t : t + 1], state, return_state=True)
        after.append(state)
    recorded = cell.record(x)
    assert list(recorded) == ["spikes", "i", "v"]
    assert recorded["spikes"].any()
    for course, expected in zip(recorded.values(), zip(*after, strict=True), strict=True):
        torch.testing.assert_close(course, torch.stack(expected))


@every_cell
def test_gradients_through_what_is_recorded(cell):
    cell, x = lively(cell)
    weights, found = torch.randn(3, *cell(x).shape, dtype=torch.float64), []
    for watched in (False, True):  # Watched weights run in the plain loop.
        if watched:
            cell.recurrent.register_forward_hook(lambda *_: None)
        loss = (torch.stack(list(cell.record(x).values())) * weights).sum()
        found.append(torch.autograd.grad(loss, [*cell.parameters()]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@every_cell
def test_decays_and_thresholds_are_dynamics(cell):
    cell = cell(2, 3, 3, learn_threshold=True)
    found = {id(p) for p in dynamics_parameters(cell)}
    left = {name.partition(".")[0] for name, p in cell.named_parameters() if id(p) not in found}
    assert left <= {"inputs", "recurrent", "gate"}


@every_cell
def test_a_repeated_frame(cell):
    cell = cell(2, 3, 3)
    x = repeat(torch.rand(2, 2, 4, 4), 5)
    torch.testing.assert_close(cell(x), cell(x.clone()))


@every_cell
def test_bfloat16_autocast(cell):
    cell = cell(2, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        out, state = cell(torch.rand(3, 2, 2, 4, 4), return_state=True)
    out.sum().backward()
    assert {value.dtype for value in state} == {torch.float32}


def test_another_surrogate():
    spike = Triangle(0.5)
    cell = CSGRU(2, 3, surrogate=spike)
    assert isinstance(cell.spike, Triangle)
    assert cell.spike is not spike


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((2, 0), {}, "hidden: expected at least 1, got 2, 0"),
        ((2, 3, 4), {}, "kernel: expected an odd number"),
        ((2, 3), {"threshold": 0}, "threshold: expected a positive number"),
        ((2, 3), {"surrogate": Rectangle("derived")}, "surrogate: a width that is 'derived'"),
    ],
)
def test_bad_options(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        CSGRU(*arguments, **options)


@pytest.mark.parametrize(
    ("kernel", "shape", "expected"),
    [
        (None, (4, 1, 3), r"\(T, B, 2\), T >= 1, got \(4, 1, 3\)"),
        (None, (4, 1, 2, 5, 5), r"\(T, B, 2\)"),
        (3, (4, 1, 2), r"\(T, B, 2, H, W\)"),
        (3, (0, 1, 2, 5, 5), r"\(T, B, 2, H, W\), T >= 1"),
    ],
)
def test_bad_inputs(kernel, shape, expected):
    with pytest.raises(ValueError, match=f"x: expected {expected}"):
        CSGRU(2, 3, kernel)(torch.zeros(shape))


def test_bad_states():
    cell, x, zero = CSGRU(2, 3), torch.randn(4, 1, 2), torch.zeros(1, 3)
    with pytest.raises(ValueError, match=r"state: expected a tuple of \(s, i, v\), got 2 entries"):
        cell(x, (zero, zero))
    with pytest.raises(ValueError, match=r"state: v expected shape \(1, 3\), got \(2, 3\)"):
        cell(x, (zero, zero, torch.zeros(2, 3)))
    with pytest.raises(TypeError, match="state: s expected a tensor, got str"):
        cell(x, ("s", zero, zero))
    assert torch.equal(cell(x, (zero.double(),) * 3), cell(x))


def test_a_cell_without_an_equation():
    class Mine(GatedCell):
        from_input = from_spikes = 1

    with pytest.raises(NotImplementedError, match="Mine does not define its step"):
        Mine(2, 3)(torch.zeros(1, 1, 2))


@pytest.mark.parametrize("kernel", [None, 3])
def test_a_step_without_back_applies_the_weights_itself(kernel):
    class Own(SpikGRU):
        def step(self, x, s, i, v):
            drive, z = (x + self.recurrent(s)).chunk(2, 1)
            return self.fire(s, self.alpha * i + drive, v, torch.sigmoid(z))

    theirs, ours = SpikGRU(2, 4, kernel, threshold=0.2).double(), Own(2, 4, kernel, threshold=0.2)
    ours.double().load_state_dict(theirs.state_dict())
    x = torch.randn(7, 2, 2, *(() if kernel is None else (5, 5)), dtype=torch.float64)
    given, expected = (cell(x, return_state=True) for cell in (ours, theirs))
    assert expected[0].mean() > 0.05
    torch.testing.assert_close(given, expected)


@every_cell
def test_weights_that_are_watched_are_called_at_every_step(cell):
    cell, x = lively(cell)
    expected, calls = cell(x), []
    watched = [cell.recurrent, *(getattr(cell, name) for name in cell.analog)]
    for module in watched:
        module.register_forward_hook(lambda *_: calls.append(1))
    assert torch.equal(cell(x), expected)
    assert len(calls) == len(watched) * T


@every_cell
def test_weights_under_a_parametrisation(cell):
    cell, x = lively(cell)
    expected = cell(x)
    nn.utils.parametrizations.weight_norm(cell.recurrent)
    cell(x).sum().backward()
    assert torch.equal(cell(x), expected)
    assert all(p.grad is not None for p in cell.recurrent.parameters())


@every_cell
def test_half_precision_modules_run_in_the_loop(cell):
    cell = cell(2, 4).bfloat16()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out, state = cell(torch.randn(3, 2, 2).bfloat16(), return_state=True)
    assert {value.dtype for value in (out, *state)} == {torch.bfloat16}
