import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from neurodyn.convert import Events, LIFKernel, NLIFKernel, ReLUKernel
from tests.convert.nets import KERNELS, check_exact, network, spikes, wired


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_spikes_are_exactly_the_crossings(kind, seed):
    net, until = network(kind, seed)
    assert check_exact(kind, net, spikes(6, seed, span=0.6 * until), until) > 20


@pytest.mark.parametrize("kind", ["LIF", "LIF, equal rates"])
def test_with_a_leaking_reset(kind):
    net, until = network(kind, 1, reset="leaky", spread=4.0)
    assert check_exact(kind, net, spikes(6, 1), until) > 20


def test_with_delays_and_recurrence():
    net = wired()
    mixed = {0: "LIF", 1: "nLIF"}
    inputs = spikes(6, 0)
    for layer, kind in mixed.items():
        alone = Events(
            [net.weights[layer]],
            [net.thresholds[layer]],
            net.kernels[layer],
            delays=[net.delays[layer]],
            recurrent=[net.recurrent[layer]],
            recurrent_delays=[net.recurrent_delays[layer]],
        )
        given = inputs if layer == 0 else net(inputs, 80.0)[0].detach()
        assert check_exact(kind, alone, given, 80.0) > 10
        torch.testing.assert_close(alone(given, 80.0)[0], net(inputs, 80.0)[layer], rtol=0, atol=0)


def test_a_neuron_that_fires_once_fires_first_when_others_do():
    net, until = network("LIF")
    once = Events(list(net.weights)[:1], list(net.thresholds)[:1], net.kernels[0], once=True)
    inputs = spikes(6, 0)
    first = once(inputs, until)
    assert first.counts().max() == 1
    assert torch.equal(first.first(), net(inputs, until).first(0))


def test_samples_are_independent():
    net, until = network("LIF")
    batch = torch.stack([spikes(6, seed) for seed in range(4)])
    together = net(batch, until)
    for k in range(4):
        alone = net(batch[k], until)
        for layer in range(3):
            width = alone[layer].shape[-1]
            assert torch.equal(together[layer][k][:, :width], alone[layer])
            assert torch.isinf(together[layer][k][:, width:]).all()


def test_simultaneous_spikes_and_the_order_of_lines():
    # Equal times: the order of lines changes the sums at most in the last bits.
    net, until = network("LIF")
    inputs = torch.full((6, 2), 3.0, dtype=torch.float64)
    inputs[:, 1] = 7.0
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    turned = Events(
        [net.weights[0][:, order], *list(net.weights)[1:]], list(net.thresholds), net.kernels[0]
    )
    a, b = net(inputs, until), turned(inputs, until)
    for layer in range(3):
        torch.testing.assert_close(a[layer], b[layer], rtol=0, atol=1e-9)


def test_the_horizon_counts_and_the_end_is_the_end():
    net = Events([torch.ones(1, 1)], 0.5, NLIFKernel(1.0))
    when = float(net([[0.0]])[0][0, 0])
    assert when == pytest.approx(np.log(2), rel=1e-15)
    assert net([[0.0]], until=when).spikes == 1
    assert net([[0.0]], until=np.nextafter(when, 0)).spikes == 0


def test_nothing_in_nothing_out():
    net, until = network("LIF")
    for empty in ([[]] * 6, torch.empty(6, 0), torch.full((2, 6, 3), torch.inf)):
        trains = net(empty, until)
        assert trains.spikes == 0
        assert trains.silent == 12 * (2 if trains[0].ndim == 3 else 1)
        assert torch.isinf(trains.first()).all()


def test_without_the_compiler_it_is_the_same_code():
    script = (
        "import torch; from tests.convert.nets import network, spikes;"
        "net, until = network('LIF', 0, reset='leaky', spread=3.0);"
        "x = spikes(6, 0, 3).requires_grad_();"
        "t = net(x, until); t[2][torch.isfinite(t[2])].sum().backward();"
        "print([v.hex() for v in t[2].flatten().tolist() + x.grad.flatten().tolist()])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "NUMBA_DISABLE_JIT": flag},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flag in ("0", "1")
    ]
    values = [[float.fromhex(v.strip("[]' \n")) for v in run.split(",")] for run in runs]
    assert len(values[0]) > 30
    np.testing.assert_allclose(*values, rtol=1e-9)


def test_against_a_clock_that_goes_finer_it_is_the_limit():
    net, until = network("LIF", 0, sizes=(6, 5))
    inputs = spikes(6, 0)
    exact = net(inputs, until)[0].detach()
    errors = []
    for dt in (0.1, 0.01):
        clock = clock_driven(net, inputs, until, dt)
        assert [len(train) for train in clock] == torch.isfinite(exact).sum(-1).tolist()
        gaps = [
            np.abs(np.array(a) - b[: len(a)].numpy()).max(initial=0)
            for a, b in zip(clock, exact, strict=True)
        ]
        errors.append(max(gaps))
    assert 5 < errors[0] / errors[1] < 20
    assert errors[1] < 0.02


def clock_driven(net, inputs, until, dt):
    """The usual simulation: the potential on a grid, a spike at the first point that reaches it."""
    tau, tau_syn = float(net.kernels[0].tau), float(net.kernels[0].tau_syn)
    weights, theta = net.weights[0].detach().numpy(), net.thresholds[0].detach().numpy()
    steps = round(until / dt)
    arrive = np.zeros((steps + 1, weights.shape[1]))
    for line, train in enumerate(inputs):
        np.add.at(arrive[:, line], np.ceil(train.numpy() / dt).astype(int), 1)
    h, current = np.zeros(len(theta)), np.zeros(len(theta))
    count = np.zeros(len(theta), int)
    trains = [[] for _ in theta]
    for step in range(steps + 1):
        h += dt * (-h / tau + current / tau_syn)
        current += -dt * current / tau_syn + weights @ arrive[step]
        for i in np.nonzero(h >= (count + 1) * theta)[0]:
            trains[i].append(step * dt)
            count[i] += 1
    return trains


WEIGHT = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": []}, "weights: expected one matrix per layer, got none"),
        ({"weights": [[1.0, 2.0]]}, r"weights: layer 1: expected a matrix .* got \(2,\)"),
        (
            {"weights": [WEIGHT], "kernel": LIFKernel(torch.ones(3))},
            r"kernel: layer 1: expected one time constant or 2, one per neuron, got \(3,\)",
        ),
        ({"weights": [torch.ones(3)]}, r"weights: layer 1: expected a matrix .* got \(3,\)"),
        ({"weights": [WEIGHT, WEIGHT]}, r"weights: layer 2: expected \(2, 2\), got \(2, 3\)"),
        ({"weights": [WEIGHT * torch.nan]}, "weights: layer 1: expected finite numbers, got nan"),
        ({"weights": [WEIGHT], "thresholds": 0.0}, "thresholds: layer 1: expected numbers > 0"),
        ({"weights": [WEIGHT], "thresholds": [1.0, 1.0]}, "thresholds: expected one per layer, 1"),
        ({"weights": [WEIGHT], "thresholds": [torch.ones(3)]}, "expected a number or 2 numbers"),
        ({"weights": [WEIGHT], "delays": [-WEIGHT]}, "delays: layer 1: .* from 0 on, got -1"),
        ({"weights": [WEIGHT], "delays": [WEIGHT.T]}, r"delays: layer 1: expected \(2, 3\)"),
        ({"weights": [WEIGHT], "recurrent": [WEIGHT]}, r"recurrent: layer 1: expected \(2, 2\)"),
        ({"weights": [WEIGHT], "reset": "hard"}, "reset: expected 'soft' or 'leaky', got 'hard'"),
        (
            {"weights": [WEIGHT], "kernel": NLIFKernel(), "reset": "leaky"},
            "reset: a leaky reset needs a membrane that leaks",
        ),
        ({"weights": [WEIGHT], "kernel": [LIFKernel()] * 3}, "kernel: expected one for all or 1"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        Events(**arguments)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_time_constants_are_positive(value):
    with pytest.raises(ValueError, match="tau: expected a positive time"):
        LIFKernel(value)
    with pytest.raises(ValueError, match="tau_syn: expected a positive time"):
        NLIFKernel(value)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[1.0, 0.5], [], []], "inputs: sample 0, line 0: expected ascending times, got 0.5"),
        ([[], [-1.0], []], "inputs: sample 0, line 1: expected times from 0 on, got -1.0"),
        ([[], [], [float("nan")]], "inputs: sample 0, line 2: expected a number .* got nan"),
        ([[1.0]], "inputs: expected 3 lines, got 1"),
        ([1.0, 2.0, 3.0], "inputs: expected a list of lines"),
        ([[[1.0], [], []], [[1.0]]], "inputs: sample 1 has 1 lines, others have 3"),
        (torch.ones(3), r"inputs: expected spike times .* got \(3,\)"),
        (torch.tensor([[torch.inf, 1.0]] * 3), "expected ascending times, got 1.0"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(ValueError, match=message):
        Events([WEIGHT])(inputs)


def test_endless_firing_needs_an_end():
    with pytest.raises(ValueError, match="until: these neurons may fire for ever"):
        Events([WEIGHT], kernel=ReLUKernel())([[0.0], [], []])
    with pytest.raises(ValueError, match="until: expected a time from 0 on, got -1"):
        Events([WEIGHT])([[0.0], [], []], until=-1.0)


def test_excitation_without_bound_stops_and_names_the_neuron():
    loud = torch.tensor([[0.0, 0.0], [0.0, 30.0]], dtype=torch.float64)
    net = Events([torch.ones(2, 1) * 3], recurrent=[loud])
    with pytest.raises(ValueError, match=r"sample 0: layer 1, neuron 1 fired 50 times"):
        net([[0.0]], max_spikes=50)


def test_it_says_what_it_is():
    net, _ = network("LIF")
    assert "6-5-4-3 neurons" in repr(net)
    assert (net.neurons, net.synapses) == (12, 62)


def test_what_is_learned_does_not_change_the_last_bits():
    # A synapse of weight 0 is there only if it may get a gradient.
    for seed in range(10):
        net, until = network("LIF", seed)
        with torch.no_grad():
            for weight in net.weights:
                weight[:, ::2] = 0.0
            plain = net(spikes(6, seed), until)
        learned = net(spikes(6, seed), until)
        assert plain.spikes > 0
        assert all(map(torch.equal, plain.layers, learned.layers))


@pytest.mark.parametrize(
    ("of", "value", "message"),
    [
        ("thresholds", 0.0, "thresholds: layer 1, neuron 0: expected a number > 0, got 0.0"),
        ("thresholds", -1.0, "thresholds: layer 1, neuron 0: expected a number > 0, got -1.0"),
        ("weights", float("nan"), "weights: layer 1, neuron 0: expected a finite number, got nan"),
        ("delays", -0.5, "delays: layer 1, neuron 0: expected a time from 0 on, got -0.5"),
        ("tau", -0.5, "kernel: layer 1, neuron 0: expected a time constant > 0, got -0.5"),
        ("tau", float("nan"), "kernel: layer 1, neuron 0: expected a time constant > 0, got nan"),
    ],
)
def test_parameters_that_training_has_moved_out_of_range(of, value, message):
    net = Events([2 * WEIGHT], delays=[WEIGHT])
    wrong = net.kernels[0].tau if of == "tau" else getattr(net, of)[0]
    with torch.no_grad():
        wrong.fill_(value)
    with pytest.raises(ValueError, match=message):
        net([[1.0]] * 3, 20.0)


@pytest.mark.parametrize("wrong", [None, 3.0, "ab"])
def test_inputs_of_another_type(wrong):
    with pytest.raises(TypeError, match="inputs: expected spike times by line, got"):
        Events([WEIGHT])(wrong)


@pytest.mark.parametrize("wrong", ["LIF", LIFKernel, [LIFKernel]])
def test_kernels_of_another_type(wrong):
    with pytest.raises(TypeError, match="kernel: expected kernels, such as LIFKernel"):
        Events([WEIGHT], kernel=wrong)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_rounded_parameters_run_in_float64(dtype):
    net, until = network("LIF", 0)
    rounded = Events(
        [weight.detach().to(dtype) for weight in net.weights],
        [theta.detach().to(dtype) for theta in net.thresholds],
        net.kernels[0],
    )
    expected = rounded(spikes(6, 0), until)
    trains = net.to(dtype)(spikes(6, 0), until)
    assert trains[2].dtype == torch.float64
    torch.testing.assert_close(trains.layers, expected.layers, rtol=0, atol=1e-1)
    trains[2].min().backward()
    assert net.weights[0].grad.dtype == dtype
