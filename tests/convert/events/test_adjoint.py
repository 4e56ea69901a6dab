import pytest
import torch

from neurodyn.convert import Events, LIFKernel, multi_spike, single_spike
from tests.convert.nets import KERNELS, network, spikes, wired


def slopes(function, flat, k):
    """Central differences of several widths: no one width suits all spikes."""
    old, found = flat[k].item(), []
    for step in (1e-5, 1e-6, 1e-7):
        values = []
        for shift in (-step, step):
            flat[k] = old + shift
            values.append(function().item())
        found.append((values[1] - values[0]) / (2 * step))
    flat[k] = old
    return found


def calm(kind, seed, **options):
    """A network with few spikes. Close to a touch, differences say nothing about derivatives."""
    return network(kind, seed, spread=0.5 if kind == "ReLU" else 2.0, **options)


def check(net, inputs, until):
    """All gradients against central differences."""
    times = inputs.clone().requires_grad_()

    def total():
        trains = net(times, until)
        return sum(layer[torch.isfinite(layer)].sin().sum() for layer in trains.layers)

    values = [times, *net.parameters()]
    found = torch.autograd.grad(total(), values)
    compared = 0
    with torch.no_grad():
        for value, derivative in zip(values, found, strict=True):
            flat, grads = value.view(-1), derivative.reshape(-1)
            for k in range(0, len(flat), max(1, len(flat) // 5)):
                grad = grads[k].item()
                gap = min(abs(each - grad) for each in slopes(total, flat, k))
                assert gap < 1e-6 * max(1, abs(grad))
                compared += abs(grad) > 1e-3
    assert compared > 10


@pytest.mark.parametrize("kind", KERNELS)
def test_of_networks_that_fire_many_times(kind):
    net, until = calm(kind, 1)
    check(net, spikes(6, 1, each=3, span=until * 0.6), until)


def test_with_a_leaking_reset():
    net, until = calm("LIF", 0, reset="leaky")
    check(net, spikes(6, 0, each=3), until)


def test_with_delays_and_recurrence():
    net = wired()
    with torch.no_grad():
        net.recurrent_delays[1].fill_(0.01)  # Differences at 0 would need delays below it.
    check(net, spikes(6, 0), 60.0)


@pytest.mark.parametrize("reset", ["soft", "leaky"])
def test_of_copies_that_fire_once(reset):
    net, until = calm("LIF", 0, reset=reset)
    inputs = spikes(6, 0, each=3)
    check(single_spike(net, net.bound(inputs, until)), inputs, until)


def test_of_copies_that_cancel():
    net, until = calm("LIF", 1)
    inputs = spikes(6, 1, each=3)
    once = Events(list(net.weights), list(net.thresholds), net.kernels[0], once=True)
    check(multi_spike(once, once.bound(inputs, until)), inputs, until)


def test_a_time_constant_of_each_neuron():
    net, until = calm("LIF", 0, sizes=(6, 5))
    net.kernels[0] = LIFKernel(torch.linspace(5, 15, 5), torch.linspace(2, 6, 5))
    check(net, spikes(6, 0, each=3), until)


def test_a_silent_neuron_gets_a_gradient_of_zero():
    net = Events([torch.tensor([[3.0], [0.1]])])
    trains = net([[1.0]])
    assert trains.counts().tolist() == [1, 0]
    assert trains.silent == 1
    trains[0][0, 0].backward()
    assert net.weights[0].grad[0, 0] < 0
    assert net.weights[0].grad[1, 0] == 0


def test_a_touch_gets_a_gradient_of_zero_and_is_counted():
    net = Events([torch.ones(1, 1)], kernel=LIFKernel(4.0, 4.0))
    # The kernel's maximum, exp(-1) at t = tau.
    with torch.no_grad():
        net.thresholds[0].fill_(torch.tensor(-1.0, dtype=torch.float64).exp())
    trains = net([[0.0]])
    assert (trains.spikes, trains.touches) == (1, 1)
    assert trains[0].item() == pytest.approx(4.0, abs=1e-6)
    trains[0].sum().backward()
    assert net.weights[0].grad.item() == 0


def test_second_derivatives_are_refused():
    net, until = network("LIF", 0, sizes=(6, 5))
    times = spikes(6, 0).requires_grad_()
    trains = net(times, until)[0]
    (grad,) = torch.autograd.grad(trains[torch.isfinite(trains)].sum(), times, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        grad.sum().backward()


def test_first_spikes_have_a_gradient_even_if_there_are_none():
    net = Events([torch.full((2, 1), 0.1)])
    first = net([[1.0]]).first()
    assert torch.isinf(first).all()
    first.clamp(max=9.0).sum().backward()
    assert net.weights[0].grad.abs().sum() == 0


def test_recurrent_weights_of_zero_are_learned_alone():
    net = Events([torch.full((2, 1), 9.0)], recurrent=[torch.zeros(2, 2)])
    net.weights.requires_grad_(False)
    net([[1.0]])[0][:, 1].sum().backward()
    assert (net.recurrent[0].grad < 0).all()
