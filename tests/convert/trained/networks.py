"""Networks that can be unfolded, and the same written out neuron by neuron."""

from functools import lru_cache, partial
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import nn

from neurodyn.layers import repeat
from neurodyn.neurons import IF, LIF, PLIF, DecayLIF

SOFT = {
    "IF": partial(IF, reset="soft"),
    "LIF": partial(LIF, reset="soft", tau=4.0),
    "LIF-input": partial(LIF, reset="soft", tau=3.0, decay_input=True, threshold=0.4),
    "PLIF": partial(PLIF, reset="soft", tau=5.0, learn_threshold=True),
    "DecayLIF": partial(DecayLIF, per="neuron", threshold=0.6, learn_initial=True),
}


def dense(neuron, widths=(7, 12, 9, 4), gain=3.0):
    """Linear layers with neurons between them, as a user writes them."""
    parts = []
    for into, out in pairwise(widths):
        parts += [nn.Linear(into, out), neuron((out,))]
    net = nn.Sequential(*parts[:-1])
    with torch.no_grad():
        for layer in net[::2]:
            layer.weight.mul_(gain)
        for layer in net[1::2]:
            layer.u_0.normal_(0, 0.1)
    return net


def leak(neuron):
    """The share of the membrane that a step loses, and the factor on the input."""
    if isinstance(neuron, IF):
        return torch.zeros(1), torch.ones(1)
    lost = (1 - neuron.alpha if isinstance(neuron, DecayLIF) else neuron.leak).detach()
    scaled = isinstance(neuron, DecayLIF) or neuron.decay_input
    return lost, lost if scaled else torch.ones_like(lost)


def written_out(net, x, copies, *, edges=True):
    """The steps in which the copies fire, layer by layer, `(neurons x copies,)`, and the outputs,
    for one sample `(T, features)`: weights replicated, thresholds `k V`, edges by spike times."""
    lines, found, before = x.double(), [], 1
    for synapses, neuron in zip(net[:-1:2], net[1:-1:2], strict=True):
        weight = synapses.weight.double().repeat_interleave(before, 1).repeat_interleave(copies, 0)
        current = lines @ weight.T + synapses.bias.double().repeat_interleave(copies)
        times, lines = layer_written_out(neuron, current, copies, edges=edges)
        found, before = [*found, times], copies
    head = net[-1]
    return found, lines @ head.weight.double().repeat_interleave(before, 1).T + head.bias.double()


def written_recurrently(net, x, copies):
    """The steps in which the copies of a recurrent layer fire."""
    synapses, layer, _ = net
    V = layer.V.detach().double().masked_fill(layer.diagonal, 0)
    V = V.repeat_interleave(copies, 0).repeat_interleave(copies, 1)
    current = synapses(x).double().repeat_interleave(copies, 1)
    return layer_written_out(layer.neuron, current, copies, V)[0]


def layer_written_out(neuron, current, copies, V_back=None, *, edges=True):
    """The steps in which the copies of a layer fire, and their spikes, `(T, neurons x copies)`."""
    n = current.shape[1] // copies
    lost, scale = (value.double().expand(n).repeat_interleave(copies) for value in leak(neuron))
    V = neuron.threshold.double().expand(n).repeat_interleave(copies)
    level = torch.arange(1, copies + 1).repeat(n)
    same = torch.arange(n).repeat_interleave(copies)
    after = (same[:, None] == same) & (level[:, None] > level)
    v = neuron.u_0.double().expand(n).repeat_interleave(copies)
    T = torch.full((n * copies,), float("inf"), dtype=torch.float64)
    spikes = torch.zeros_like(current)
    for t, now in enumerate(current):
        if V_back is not None and t:
            now = now + spikes[t - 1] @ V_back
        v = (1 - lost) * v + scale * now
        since = torch.where(t >= T, 1 - (1 - lost) ** (t - T).clamp(min=0), 0.0)
        lateral = V * (after * since).sum(1) if edges else 0.0
        new = (v + lateral >= level * V) & T.isinf()
        T[new] = t
        spikes[t] = new.double()
    return torch.where(T.isinf(), -1, T).long(), spikes


@lru_cache
def digits():
    """Scikit-learn's digits, pixels from 0 to 1, each shown for eight steps: training and test."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y)
    test = torch.arange(len(x)) % 5 == 0
    return (x[~test], y[~test]), [(repeat(x[test], 8), y[test])]


@lru_cache
def trained(name):
    """A network of these neurons, trained on the digits with binary emission."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = dense(SOFT[name], (64, 48, 32, 10), gain=1.0)
        adam = torch.optim.Adam(net.parameters(), 5e-3)
        (x, y), _ = digits()
        for _ in range(8):
            for rows in torch.randperm(len(x)).split(64):
                loss = nn.functional.cross_entropy(net(repeat(x[rows], 8)).mean(0), y[rows])
                adam.zero_grad()
                loss.backward()
                adam.step()
    return net.eval()
