import pytest
import torch

from neurodyn.data import LagTask


def spikes_of(data, train=True):
    data.setup()
    samples = data._training if train else data._test
    return samples.__getitems__(range(len(samples)))


def test_the_class_is_the_time_between_the_spikes():
    values, labels = spikes_of(LagTask(lags=5, steps=12, samples=400))
    assert values.shape == (360, 12, 2)
    assert (values.sum(1) == 1).all()
    first, second = values.int().argmax(1).unbind(-1)
    assert torch.equal(second - first, labels)
    assert labels.bincount().tolist() == [72] * 5


def test_the_first_spike_alone_says_nothing():
    values, labels = spikes_of(LagTask(lags=5, steps=12, samples=20000))
    first = values[..., 0].int().argmax(1)
    for lag in range(5):
        share = first[labels == lag].bincount(minlength=8) / (labels == lag).sum()
        torch.testing.assert_close(share, torch.full((8,), 1 / 8), atol=0.02, rtol=0)


def test_noise_adds_spikes():
    values, _ = spikes_of(LagTask(lags=5, steps=50, samples=2000, noise=0.1))
    assert values.float().mean().item() == pytest.approx(0.1 + 0.9 / 50, abs=0.005)


def test_samples_are_always_the_same_and_the_test_set_is_another():
    one, other = spikes_of(LagTask(noise=0.05)), spikes_of(LagTask(noise=0.05))
    assert torch.equal(one[0], other[0])
    test, labels = spikes_of(LagTask(noise=0.05), train=False)
    assert len(labels) == 1000
    train = {row.tobytes() for row in one[0].numpy()}
    assert not any(row.tobytes() in train for row in test.numpy())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"lags": 1}, "lags: expected at least 2, got 1"),
        ({"steps": 19}, "steps: expected at least 20, got 19"),
        ({"samples": 10}, "samples: expected at least 80, got 10"),
        ({"noise": 1.5}, "noise: expected a number from 0 to 1, got 1.5"),
    ],
)
def test_bad_options(option, message):
    with pytest.raises(ValueError, match=message):
        LagTask(**option)
