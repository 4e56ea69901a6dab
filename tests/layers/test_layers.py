import math

import pytest
import torch
from torch import nn

from neurodyn.layers import (
    READOUTS,
    RESIDUAL,
    Last,
    Leaky,
    LeakyMax,
    Max,
    Mean,
    SoftmaxSum,
    TDBatchNorm1d,
    TDBatchNorm2d,
    TETLoss,
    TimeDistributed,
    make_readout,
    padded,
    repeat,
    valid_steps,
)


def test_repeat_is_a_view():
    x = torch.randn(2, 3)
    sequence = repeat(x, 5)
    assert sequence.shape == (5, 2, 3)
    assert sequence.data_ptr() == x.data_ptr()
    with pytest.raises(ValueError, match="T: expected at least one timestep"):
        repeat(x, 0)


def test_time_distributed_is_the_layer_at_every_step():
    layer = nn.Linear(4, 3)
    x = torch.randn(5, 2, 4)
    expected = torch.stack([layer(step) for step in x])
    torch.testing.assert_close(TimeDistributed(layer)(x), expected)


class Counting(nn.Identity):
    samples = 0

    def forward(self, x):
        self.samples += len(x)
        return x


def test_a_static_sequence_passes_once():
    counter = Counting()
    x = torch.randn(2, 4)
    out = TimeDistributed(counter)(repeat(x, 5))
    assert counter.samples == 2
    assert torch.equal(out, repeat(x, 5))
    TimeDistributed(counter)(repeat(x, 5).contiguous())
    assert counter.samples == 12


def test_static_pass_has_the_same_result_and_gradient():
    layer = nn.Sequential(nn.Conv2d(2, 3, 3), TDBatchNorm2d(3))
    x = torch.randn(4, 2, 6, 6)
    upstream = torch.randn(5, 4, 3, 4, 4)
    results = []
    for sequence in (repeat(x, 5), repeat(x, 5).contiguous()):
        layer.zero_grad()
        out = TimeDistributed(layer)(sequence)
        out.backward(upstream)
        results.append((out, layer[0].weight.grad.clone()))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-4)


def test_time_distributed_wants_features():
    with pytest.raises(ValueError, match=r"x: expected \(T, B, features...\), got \(4, 2\). Time"):
        TimeDistributed(nn.Identity())(torch.zeros(4, 2))


@pytest.mark.parametrize("alpha", [1.0, RESIDUAL])
def test_tdbn_normalises_to_the_threshold(alpha):
    x = 3 + 2 * torch.randn(4, 16, 5, 8, 8)
    out = TimeDistributed(TDBatchNorm2d(5, threshold=0.7, alpha=alpha))(x)
    assert out.mean().item() == pytest.approx(0, abs=1e-5)
    per_channel = out.transpose(0, 2).flatten(1).std(1)
    torch.testing.assert_close(per_channel, torch.full((5,), 0.7 * alpha), rtol=1e-3, atol=0)
    flat = TDBatchNorm1d(5, threshold=0.7, alpha=alpha)(x.transpose(2, -1).reshape(-1, 5))
    assert flat.std().item() == pytest.approx(0.7 * alpha, rel=1e-3)


def test_readouts():
    outputs = torch.randn(6, 2, 3)
    torch.testing.assert_close(Mean()(outputs), outputs.mean(0))
    assert torch.equal(Last()(outputs), outputs[5])
    assert torch.equal(Max()(outputs), outputs.max(0).values)


def test_leaky_readout():
    outputs = torch.randn(6, 2, 3)
    readout = Leaky(3, decay=0.8)
    expected = sum(0.2 * 0.8 ** (5 - t) * outputs[t] for t in range(6))
    torch.testing.assert_close(readout(outputs), expected)
    readout(outputs).sum().backward()
    assert (readout.decay.grad != 0).all()


def test_leaky_max_readout():
    outputs = torch.randn(6, 2, 3)
    readout = LeakyMax(3)
    y = [sum(0.9 ** (t - k) * outputs[k] for k in range(t + 1)) for t in range(6)]
    torch.testing.assert_close(readout(outputs), torch.stack(y).amax(0))


def test_softmax_sum_readout():
    outputs = torch.randn(6, 2, 3)
    readout = SoftmaxSum(3)
    assert ((readout.a >= 0.36) & (readout.a <= 0.96)).all()
    assert readout.a.unique().numel() == 3
    nn.init.constant_(readout.decay, 0.5)
    u = [sum(0.5 * 0.5 ** (t - k) * outputs[k] for k in range(t + 1)) for t in range(6)]
    torch.testing.assert_close(readout(outputs), torch.stack(u).softmax(-1).sum(0))


def test_a_decay_stays_within_its_bounds():
    readout = LeakyMax(3)
    nn.init.constant_(readout.decay, 1.5)
    outputs = torch.ones(6, 2, 3)
    torch.testing.assert_close(readout(outputs), torch.full((2, 3), 6.0))
    with pytest.raises(ValueError, match=r"decay: expected a number.* got 1\.1"):
        Leaky(3, decay=1.1)


@pytest.mark.parametrize("name", READOUTS)
def test_a_readout_in_chunks(name):
    readout = make_readout(name, 3)
    outputs = torch.randn(7, 2, 3)
    _, state = readout(outputs[:3], return_state=True)
    _, state = readout(outputs[3:4], state, return_state=True)
    scores, whole = readout(outputs[4:], state), readout(outputs)
    torch.testing.assert_close(scores, whole[4:] if readout.per_step else whole)


@pytest.mark.parametrize("name", READOUTS)
def test_readouts_of_half_precision_sum_in_single(name):
    outputs = torch.randn(300, 2, 3).bfloat16()
    readout = make_readout(name, 3)
    assert torch.equal(readout(outputs), readout(outputs.float()))


def test_readouts_by_name():
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        make_readout("maen", 3)
    with pytest.raises(ValueError, match=r"outputs: expected \(T, B, classes\), got \(2, 3\)"):
        Mean()(torch.zeros(2, 3))


@pytest.mark.parametrize("loss", [TETLoss(), TETLoss(label_smoothing=0.1)])
def test_losses_of_mixed_labels(loss):
    outputs, labels = torch.randn(4, 8, 5, dtype=torch.float64), torch.randint(5, (8,))
    one_hot = nn.functional.one_hot(labels, 5)
    torch.testing.assert_close(loss(outputs, one_hot.float()), loss(outputs, labels))
    other = labels.roll(1)
    mixed = 0.3 * one_hot + 0.7 * nn.functional.one_hot(other, 5)
    expected = 0.3 * loss(outputs, labels) + 0.7 * loss(outputs, other)
    torch.testing.assert_close(loss(outputs, mixed), expected)


def test_tet_loss_by_hand():
    outputs, labels = torch.randn(3, 2, 4), torch.tensor([1, 3])
    entropy, distance = 0.0, 0.0
    for t in range(3):
        for b in range(2):
            row = outputs[t, b].tolist()
            log_sum = math.log(sum(math.exp(v) for v in row))
            entropy += (log_sum - row[labels[b]]) / 6
            distance += sum((v - 1.5) ** 2 for v in row) / 24
    loss = TETLoss(weight=0.1, threshold=1.5)(outputs, labels)
    assert loss.item() == pytest.approx(0.9 * entropy + 0.1 * distance, rel=1e-5)
    with pytest.raises(ValueError, match="weight: expected a number from 0 to 1"):
        TETLoss(weight=2)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 2], r"lengths: expected a tensor \(B,\) of whole numbers, got list"),
        (torch.tensor([3.0]), r"lengths: expected a tensor \(B,\) of whole numbers"),
        (torch.tensor([[3]]), r"lengths: expected a tensor \(B,\) of whole numbers"),
        (torch.tensor([0, 3]), "lengths: expected numbers from 1 to 5, got 0 to 3"),
        (torch.tensor([2, 6]), "lengths: expected numbers from 1 to 5, got 2 to 6"),
    ],
)
def test_lengths_that_cannot_be(lengths, message):
    with pytest.raises(ValueError, match=message), padded(lengths, 5):
        pass
    assert valid_steps() is None
