"""A fitted cell in timesteps of a network, against the cell itself."""

import json
import math
import re
from functools import partial

import pytest
import torch

from neurodyn import LIF, LNM, AdLIF
from neurodyn.biophysics import Fitted, RecordedNeuron
from neurodyn.biophysics.fitting.membrane import Free
from neurodyn.biophysics.fitting.model import Escape, learning
from neurodyn.biophysics.fitting.timestep import FINEST
from neurodyn.comparison.contender import Contender
from neurodyn.interactive.held import code_digest
from neurodyn.models import ConvNet
from neurodyn.neurons import neurons_of, set_horizon
from neurodyn.scan import scan
from neurodyn.training.recipe import Recipe

DT, REFRACTORY = 0.1, 4.0
CURRENTS, THRESHOLDS = (8.0, 90.0), (10.0, 150.0)


@pytest.fixture
def cell():
    """A cubic cell whose reset lies above its threshold, as that of a real one does."""
    return made(LNM(degree=3), c=[0.0, -0.73, 0.93, -0.5])


def made(neuron, c=None):
    model = Escape(
        learning(neuron),
        DT,
        currents=CURRENTS,
        thresholds=THRESHOLDS,
        lags=(),
        refractory=REFRACTORY,
        rest=-61.0,
        scale=16.0,
        tau=12.0,
        reset=1.8,
    )
    with torch.no_grad():
        model.level.fill_(1.4)
        model.w.copy_(torch.tensor([0.14, 0.07]))
        model.v.copy_(torch.tensor([0.7, 0.05]))
    if c is not None:
        model.neuron.c = c
    return Fitted(model, {})


def alone(fitted, duration):
    """The cell after a spike at 0, without input: its potential and threshold [thresholds]."""
    model, n = fitted.model, round(duration / DT)
    others = [torch.zeros(1, dtype=torch.float64) for _ in model.neuron.states[1:]]
    begun = [[float(model.reset)], *others, [REFRACTORY / DT], *[[0.0]] * 4]
    start = tuple(torch.as_tensor(value, dtype=torch.float64) for value in begun)
    x = torch.zeros(n, 1, dtype=torch.float64)
    (_, u), _, states = scan(Free(model, DT), (x, torch.full_like(x, math.inf)), start, record=True)
    b = torch.stack(states[-2:])[..., 0]
    level = float(model.level)
    threshold = 1 + (model.v[:, None] * b).sum(0) / level
    return u[:, 0] / level, threshold


@pytest.mark.parametrize("dt", [1.0, 2.5, 5.0, 8.0, 10.0, 25.0])
def test_after_a_spike_the_layer_is_where_the_cell_is(cell, dt):
    first = math.floor(REFRACTORY / dt + 1e-6) + 1
    steps = first + 6
    layer = cell.neuron(dt=dt)(None).double()
    x = torch.zeros(steps + 1, 1, 1, dtype=torch.float64)
    x[0] = 3.0
    seen = layer.record(x)
    assert seen["spikes"].flatten().tolist() == [1.0, *[0.0] * steps]
    u, threshold = alone(cell, steps * dt)
    at = [round(m * dt / DT) - 1 for m in range(first, steps + 1)]
    h = seen["h"].flatten()[first:]
    torch.testing.assert_close(h[0], u[at][0], atol=1e-6, rtol=0)
    torch.testing.assert_close(h, u[at], atol=0.06, rtol=0)
    b = torch.stack([seen[name].flatten() for name in layer.states if name[0] == "b"])
    raised = 1 + (torch.stack(list(layer.gamma)) * b[:, first - 1 : -1]).sum(0)
    # A kernel of which a hundredth is left is left out.
    torch.testing.assert_close(raised, threshold[at], atol=0.005 if dt > 20 else 1e-6, rtol=0)


def test_kernels_keep_their_time(cell):
    layer = cell.neuron(dt=5.0)(None)
    assert [r.item() for r in layer.rho] == pytest.approx([math.exp(-5 / tau) for tau in CURRENTS])
    assert [s.item() for s in layer.sigma] == pytest.approx(
        [math.exp(-5 / tau) for tau in THRESHOLDS]
    )
    far = cell.neuron(dt=60.0)(None)
    assert (len(far.rho), len(far.sigma)) == (1, 1)  # 8 and 10 ms are over by then


@pytest.mark.parametrize("dt", [1.0, 10.0])
@pytest.mark.parametrize("start", [-3.0, -0.5, 0.5, 0.9])
def test_the_membrane_follows_the_flow_for_a_timestep(cell, dt, start):
    layer = cell.neuron(dt=dt)(None)
    quiet = layer.record(torch.zeros(5, 1, 1))
    assert quiet["h"].abs().max() == 0
    x = torch.zeros(2, 1, 1)
    x[0] = start
    seen = layer.record(x)
    rest, level = cell.model.potentials[0], cell.model.threshold - cell.model.potentials[0]
    u = start
    for _ in range(round(dt / 0.01)):
        u += 0.01 * float(cell.flow([rest + level * u])[0]) / level
    assert seen["h"][1].item() == pytest.approx(u, abs=0.05)
    # Euler steps that are too long end beyond the rest: inhibition would fire.
    assert seen["h"][1].item() * start > 0
    assert seen["spikes"].sum() == 0


@pytest.mark.parametrize(("dt", "gap"), [(1.0, 5), (2.0, 3), (4.0, 2), (5.0, 1)])
def test_it_is_silent_for_the_refractory_time(cell, dt, gap):
    spikes = cell.neuron(dt=dt)(None)(torch.full((16, 1, 1), 20.0)).flatten()
    assert spikes.nonzero().flatten().diff().unique().tolist() == [gap]


def test_more_states_than_one_go_along():
    layer = made(AdLIF()).neuron(dt=10.0)(None)
    assert layer.states == ("u", "w", "s", "a0", "a1", "b0", "b1")
    assert layer.record(torch.ones(8, 1, 1))["w"].abs().max() > 0


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("dt", [1.0, 10.0])
def test_in_a_network_all_or_nothing_of_the_cell_is_learned(cell, learn, dt):
    make = partial(ConvNet, cell.neuron(dt=dt, learn=learn), (1, 8, 8), 3, [4, 4])
    net = make()
    net(3 * torch.rand(8, 2, 1, 8, 8)).sum().backward()
    learned = {name for name, p in net.body[1].neuron.named_parameters() if p.grad is not None}
    own = {"raw_share", "after", "eta.0", "gamma.0", "membrane.c.1", "membrane.c.3"}
    assert own <= learned if learn else not learned
    make().load_state_dict(net.state_dict())


def test_the_fitted_neuron_is_a_part_of_the_layer_and_not_a_layer():
    """What a network tells its neurons would let a spread start again."""
    net = ConvNet(made(LNM(start="spread")).neuron(dt=5.0), shape=(1, 8, 8), widths=[4, 4])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    set_horizon(net, 1000)
    assert [name for name, _ in neurons_of(net)] == ["body.1.neuron", "body.4.neuron"]
    assert [name for name, _ in neurons_of(net.body[1].neuron)] == [""]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_timesteps_that_cannot_be_and_another_reset_are_errors(cell):
    for dt in (0.05, 0, -1.0, math.nan):
        with pytest.raises(ValueError, match=rf"dt: expected at least 0\.1, got {dt}"):
            cell.neuron(dt=dt)
    for fit, longest in ((cell, r"76\.\d"), (made(LIF()), "1000")):
        for dt in (1001.0, math.inf):
            expected = rf"dt: expected a number from 0\.1 to {longest}\S*, got {dt}"
            with pytest.raises(ValueError, match=expected):
                fit.neuron(dt=dt)
    with pytest.raises(ValueError, match="reset: RecordedNeuron has its own reset"):
        cell.neuron(dt=1.0, reset="soft")(None)


def test_no_timestep_is_longer_than_its_euler_steps_allow(cell):
    longest = float(re.search(r"to (\S+), got", str(refusal(cell, 1000.0)))[1])
    assert cell.neuron(dt=longest).step.parts == FINEST
    assert "got" in str(refusal(cell, longest + 0.2))


def refusal(cell, dt):
    with pytest.raises(ValueError, match="dt: expected") as raised:
        cell.neuron(dt=dt)
    return raised.value


@pytest.mark.parametrize("dt", [1.0, 10.0, 60.0])
def test_a_layer_says_what_it_is_in_millivolts_and_milliseconds(cell, dt):
    said, step = repr(cell.neuron(dt=dt, learn=False)), cell.neuron(dt=dt).step
    number = r"(-?\d+(?:\.\d+)?)"
    told = re.sub(number, "#", said.partition("learn=False, ")[2])
    found = [float(n) for n in re.findall(number, said.partition("learn=False, ")[2])]
    assert told == (
        "a layer of # ms per timestep, in # Euler steps\n"
        "  potential # is the rest, # mV; # is the threshold, # mV\n"
        "  silent for # timesteps after a spike; # ms after it the membrane is at # mV, the "
        "threshold at # mV\n"
        "  kernels kept: # of # spike-triggered currents, # of # of the moving threshold\n"
        "  near the rest: time constant # ms, half of a potential is left after # ms"
    )
    assert found[:2] == [dt, step.parts]
    (rest, _), threshold = cell.model.potentials, cell.model.threshold
    assert found[2:6] == pytest.approx([0, rest, 1, threshold], abs=0.05)
    wait, late, at, wall, *kernels, tau, half = found[6:]
    assert (wait, late) == (step.wait, (step.wait + 1) * dt)
    u, raised = (float(v[round(late / DT) - 1]) for v in alone(cell, late))
    assert at == pytest.approx(rest + (threshold - rest) * u, abs=0.051)
    assert wall == pytest.approx(rest + (threshold - rest) * raised, abs=0.2 if dt > 20 else 0.051)
    assert kernels == ([1, 2, 1, 2] if dt == 60 else [2, 2, 2, 2])
    slope = float(cell.flow([rest + 1e-3])[0] / -1e-3)
    assert tau == pytest.approx(1 / slope, rel=0.01)
    assert half == pytest.approx(tau * math.log(2), abs=0.1)


def test_layers_of_other_cells_timesteps_and_options_have_other_names(cell):
    """By which a comparison of objects knows that runs are of others."""
    other = made(LNM(degree=3), c=[0.0, -0.73, 0.93, -0.5001])
    layers = [cell.neuron(), cell.neuron(dt=5.0), cell.neuron(learn=False), other.neuron()]
    assert len({code_digest(layer) for layer in layers}) == 4
    assert code_digest(cell.neuron()) == code_digest(layers[0])


def test_one_timestep_is_the_default_everywhere(cell, file):
    layers = [RecordedNeuron(cell=file), cell.neuron()(None), cell.neuron(dt=10.0)(None)]
    assert len({(layer.share.item(), layer.after.item()) for layer in layers}) == 1


@pytest.fixture
def file(cell, tmp_path):
    cell.save(tmp_path / "cell.json")
    return tmp_path / "cell.json"


def contender(file, *options):
    return ":".join(["cell@neurodyn.biophysics.RecordedNeuron", f"cell={file}", *options])


@pytest.mark.parametrize("frozen", [False, True])
def test_a_comparison_names_a_cell_by_its_file_or_folder(cell, file, frozen):
    options = ["dt=8", "frozen"] if frozen else ["dt=8"]
    given = Contender.parse(contender(file.parent if frozen else file, *options))
    assert given.label == "cell"
    network = Recipe(["--config", "digits", *given.arguments()], run=False).model.network
    (layer, *_) = found = [m for m in network.modules() if isinstance(m, RecordedNeuron)]
    assert len(found) > 1
    same = cell.neuron(dt=8.0, learn=not frozen)(None)
    assert layer.after.item() == same.after.item()
    assert layer.parts == same.parts
    assert all(p.requires_grad != frozen for p in layer.membrane.parameters())


def test_other_files_are_refused(file, tmp_path):
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"other\.json: expected a file that Fitted\.save wrote"):
        RecordedNeuron(cell=tmp_path / "other.json")
    for path, missing in ((tmp_path / "none.json", "none.json"), (tmp_path.parent, "cell.json")):
        with pytest.raises(FileNotFoundError, match=rf"cell: expected .* there is no .*{missing}"):
            RecordedNeuron(cell=path)
    content = json.loads(file.read_text())
    for name in ("Popen", "HardReset", "Reset", "neurons_of", None):
        file.write_text(json.dumps({**content, "neuron": name}))
        with pytest.raises(ValueError, match=rf"cell\.json: neuron: unknown name {name!r}"):
            RecordedNeuron(cell=file)


def test_what_is_no_file_of_a_cell_is_named(file, tmp_path):
    file.write_text(file.read_text()[:700])
    for given, message in (
        (file, r"cell: .*cell\.json: expected JSON"),
        (3, "cell: expected a file of Fitted.save, .* got 3"),
        ([1], r"cell: expected a file of Fitted.save, .* got \[1\]"),
        ({}, "cell: expected a file that Fitted.save wrote"),
    ):
        with pytest.raises(ValueError, match=message):
            RecordedNeuron(cell=given)
    file.unlink()
    file.mkdir()
    with pytest.raises(FileNotFoundError, match=r"got .*; there is no .*cell\.json"):
        RecordedNeuron(cell=tmp_path)


def test_a_file_below_the_home_folder(cell, file, monkeypatch):
    monkeypatch.setenv("HOME", str(file.parent))
    assert RecordedNeuron(cell="~/cell.json").after.item() == cell.neuron()(None).after.item()


def test_a_fit_of_lif_is_a_layer_too():
    layer = made(LIF()).neuron(dt=10.0)(None)
    x = torch.zeros(2, 1, 1)
    x[0] = 0.5
    assert layer.record(x)["h"][1].item() == pytest.approx(0.5 * math.exp(-10 / 12), rel=0.005)
    assert layer.parts == 1
