import functools
import math
import warnings

import pytest
import torch
from torch import nn

from neurodyn.layers import CSGRU, GatedCell, RecurrentCubaLIF, SpikGRU, SpikGRU2, repeat
from neurodyn.neurons import dynamics_parameters
from neurodyn.surrogate import Rectangle, Triangle

SpikGRU2Plus = functools.partial(SpikGRU2, signed=True)
CELLS = (RecurrentCubaLIF, SpikGRU, SpikGRU2, SpikGRU2Plus, CSGRU)
every_cell = pytest.mark.parametrize(
    "cell", CELLS, ids=("cuba-lif", "spikgru", "spikgru2", "spikgru2+", "cs-gru")
)
INPUTS, HIDDEN, T, B = 3, 4, 6, 2


# The equations of docs/gated.md, with one name per weight.


def cuba_lif(p, x, s, i, v):
    i = p["alpha"] * i + x @ p["W"].T + s @ p["U"].T + p["b"]
    return i, p["beta"] * v + (1 - p["beta"]) * i - p["th"] * s


def spikgru(p, x, s, i, v):
    i = p["alpha"] * i + x @ p["W_i"].T + s @ p["U_i"].T + p["b_i"]
    z = torch.sigmoid(x @ p["W_z"].T + s @ p["U_z"].T + p["b_z"])
    return i, z * v + (1 - z) * i - p["th"] * s


def spikgru2(p, x, s, i, v):
    r = torch.sigmoid(x @ p["W_r"].T + s @ p["U_r"].T + p["b_r"])
    i = p["alpha"] * i + x @ p["W_i"].T + r * (s @ p["U_i"].T + p["b_u"]) + p["b_i"]
    z = torch.sigmoid(x @ p["W_z"].T + s @ p["U_z"].T + p["b_z"])
    return i, z * v + (1 - z) * i - p["th"] * s


def cs_gru(p, x, s, i, v):
    r = torch.sigmoid(x @ p["W_r"].T + s @ p["U_r"].T + p["b_r"])
    i = r * i + x @ p["W_i"].T + s @ p["U_i"].T + p["b_i"]
    z = torch.sigmoid(i @ p["W_z"].T + s @ p["U_z"].T + p["b_z"])
    return i, z * v + (1 - z) * i - p["th"] * s


def named(cell):
    """The cell's parameters by the names in these equations."""
    p = {name: getattr(cell, name) for name in ("alpha", "beta", "b_u") if hasattr(cell, name)}
    p["th"] = cell.threshold
    order = {
        RecurrentCubaLIF: ("", ""),
        SpikGRU: ("iz", "iz"),
        SpikGRU2: ("izr", "izr"),
        CSGRU: ("ri", "riz"),
    }
    weights = (cell.inputs[0].weight, cell.recurrent.weight, cell.inputs[0].bias)
    x_names, s_names = order[type(cell)]
    for letter, tensor, names in zip("WUb", weights, (x_names, s_names, x_names), strict=True):
        if not names:
            p[letter] = tensor
        for name, part in zip(names, tensor.split(cell.hidden), strict=False):
            p[f"{letter}_{name}"] = part
    if isinstance(cell, CSGRU):
        p["W_z"], p["b_z"] = cell.gate.weight, cell.gate.bias
    return p


def by_hand(equation, p, x, signed=False):
    s = i = v = torch.zeros(B, HIDDEN, dtype=x.dtype)
    spikes = []
    for now in x:
        i, v = equation(p, now, s, i, v)
        s = (v >= p["th"]).to(x.dtype)
        if signed:
            s = torch.clamp(torch.sign(v + p["th"]) + torch.sign(v - p["th"]), -1, 1)
        spikes.append(s)
    return torch.stack(spikes), i, v


EQUATIONS = [
    (RecurrentCubaLIF, cuba_lif),
    (SpikGRU, spikgru),
    (SpikGRU2, spikgru2),
    (SpikGRU2Plus, spikgru2),
    (CSGRU, cs_gru),
]


def lively(cell, *shape):
    """A cell whose neurons fire often, in float64, and an input for it."""
    cell = cell(INPUTS, HIDDEN, threshold=0.3, learn_threshold=True).double()
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if name not in ("threshold", "raw_alpha", "raw_beta"):
                parameter.uniform_(-1.5, 1.5)
            elif name != "threshold":
                parameter.uniform_(0.3, 0.95)
    return cell, torch.randn(T, B, INPUTS, *shape, dtype=torch.float64)


@pytest.mark.parametrize(("cell", "equation"), EQUATIONS)
def test_equation(cell, equation):
    cell, x = lively(cell)
    spikes, (s, i, v) = cell(x, return_state=True)
    expected, i_end, v_end = by_hand(equation, named(cell), x, cell.signed)
    assert torch.equal(spikes, expected)
    assert torch.equal(s, spikes[-1])
    torch.testing.assert_close((i, v), (i_end, v_end))
    assert {-1.0, 0.0, 1.0}.difference(spikes.unique().tolist()) == (
        set() if cell.signed else {-1.0}
    )
    # Every term counts: without any one of them the membrane ends elsewhere.
    for name in named(cell).keys() - {"th"}:
        without = {**named(cell), name: torch.zeros_like(named(cell)[name])}
        assert not torch.allclose(by_hand(equation, without, x, cell.signed)[2], v_end), name


@pytest.mark.parametrize(("cell", "equation"), EQUATIONS)
def test_gradients(cell, equation):
    """Against finite differences, with a smooth spike whose derivative is the window."""
    cell, x = lively(cell)
    window = cell.spike.window

    class Smooth(nn.Module):
        def forward(self, v):
            return torch.atan(math.sqrt(10) * v) / math.sqrt(10) + 0.5

    v = torch.linspace(-2, 2, 41, dtype=torch.float64)
    torch.testing.assert_close(window(v), 1 / (1 + 10 * v * v))
    cell.spike = Smooth()
    names, parameters = zip(*cell.named_parameters(), strict=True)
    assert "threshold" in names
    values = [p.detach().requires_grad_() for p in parameters]

    def run(x, *values):
        out = torch.func.functional_call(cell, dict(zip(names, values, strict=True)), (x[:3],))
        return out.square()

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *values))


@every_cell
def test_a_spike_lowers_the_membrane_by_the_threshold(cell):
    cell = cell(2, 3, threshold=0.7)
    nn.init.zeros_(cell.recurrent.weight)
    x, v = torch.randn(1, 1, 2), torch.randn(1, 3)
    quiet = torch.zeros(1, 3)
    _, (_, _, silent) = cell(x, (quiet, quiet, v), return_state=True)
    _, (_, _, fired) = cell(x, (quiet + 1, quiet, v), return_state=True)
    torch.testing.assert_close(silent - fired, torch.full((1, 3), 0.7))


@every_cell
def test_a_map_of_one_pixel_is_a_dense_layer(cell):
    dense, x = lively(cell)
    conv = cell(INPUTS, HIDDEN, 3, threshold=0.3, learn_threshold=True).double()
    with torch.no_grad():
        for target, source in zip(conv.parameters(), dense.parameters(), strict=True):
            if target.ndim == 4:
                target[:, :, 1, 1] = source
            else:
                target.copy_(source.reshape(target.shape))
    assert dense(x).abs().sum() > 0
    assert torch.equal(conv(x[..., None, None]).flatten(2), dense(x))


@every_cell
def test_translation(cell):
    cell = cell(2, 4, 3, threshold=0.2).double()
    x = torch.rand(3, 1, 2, 24, 24, dtype=torch.float64)
    spikes, shifted = cell(x), cell(x.roll(1, -1))
    inner = slice(8, -8)
    assert 0 < spikes[..., inner, inner].abs().mean() < 1
    assert torch.equal(shifted[..., inner, inner], spikes.roll(1, -1)[..., inner, inner])


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


def test_cs_gru_is_spikgru_where_its_gates_are():
    """With `r = alpha`, and `z` from the input."""
    reference, x = lively(SpikGRU)
    reference.alpha = 0.8
    p = named(reference)

    class FromInput(nn.Module):
        def __init__(self):
            super().__init__()
            self.now = iter(x @ p["W_z"].T + p["b_z"])

        def forward(self, i):
            return next(self.now)

    cell = CSGRU(INPUTS, HIDDEN, threshold=0.3).double()
    with torch.no_grad():
        q = named(cell)
        for name in ("W_i", "U_i", "U_z", "b_i"):
            q[name].copy_(p[name])
        q["W_r"].zero_()
        q["U_r"].zero_()
        q["b_r"].fill_(math.log(0.8 / 0.2))
    cell.gate = FromInput()
    _, expected = reference(x, return_state=True)
    _, state = cell(x, return_state=True)
    torch.testing.assert_close(state, expected)


@pytest.mark.parametrize(
    ("cell", "kernel", "expected"),
    [
        (CSGRU, 3, 594_816),
        (CSGRU, None, 2 * 2 * 128 + 4 * 128**2 + 3 * 128),
        (SpikGRU, None, 2 * (2 * 128 + 128**2 + 128) + 128),
        (RecurrentCubaLIF, None, 2 * 128 + 128**2 + 128 + 2 * 128),
        (SpikGRU2, None, 3 * (2 * 128 + 128**2 + 128) + 2 * 128),
    ],
)
def test_parameters(cell, kernel, expected):
    assert sum(p.numel() for p in cell(2, 128, kernel).parameters()) == expected


def test_initialisation():
    cell = CSGRU(2, 100, 3)
    p = named(cell)
    default = {"W_r": (2 * 9) ** -0.5, "U_r": (100 * 9) ** -0.5}
    for name in ("W_i", "U_i", "W_z", "U_z", "b_i", "b_r", "b_z", "W_r", "U_r"):
        bound = default.get(name, 0.1)
        largest = p[name].abs().max().item()
        assert 0.9 * bound < largest <= bound, name
    assert SpikGRU(2, 5).alpha.tolist() == pytest.approx([0.9] * 5)


def test_decays_stay_between_zero_and_one():
    x = torch.rand(4, 1, 2)
    outside, edge = SpikGRU(2, 3), SpikGRU(2, 3)
    edge.load_state_dict(outside.state_dict())
    nn.init.constant_(outside.raw_alpha, 1.5)
    edge.alpha = 1.0
    torch.testing.assert_close(*(cell(x, return_state=True)[1] for cell in (outside, edge)))


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
