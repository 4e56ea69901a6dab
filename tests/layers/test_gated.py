import math

import pytest
import torch
from torch import nn

from neurodyn.layers import CSGRU, RecurrentCubaLIF, SpikGRU, SpikGRU2
from tests.layers.cells import HIDDEN, INPUTS, B, SpikGRU2Plus, every_cell, lively

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
