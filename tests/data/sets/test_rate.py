import pytest
import torch

from neurodyn.data import RateDigits


def batch(data, seed=None, n=8):
    samples = torch.arange(17, dtype=torch.uint8).repeat(n, 1)[:, :16].reshape(n, 1, 4, 4)
    return data.prepare(samples, torch.zeros(n, dtype=torch.int64), seed)[0]


def test_rates_are_the_pixels():
    x = batch(RateDigits(steps=2000))
    assert x.shape == (2000, 8, 1, 4, 4)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    expected = (torch.arange(16) / 16).reshape(4, 4)
    torch.testing.assert_close(x.mean((0, 1, 2)), expected, atol=0.02, rtol=0)
    first, second = x[:-1, 0, 0, 2, 0], x[1:, 0, 0, 2, 0]
    assert (first * second).mean().item() == pytest.approx(0.25, abs=0.05), "steps are independent"


def test_draws_follow_from_the_seed():
    data = RateDigits(steps=4)
    assert torch.equal(batch(data), batch(data))
    assert torch.equal(batch(data, 3), batch(data, 3))
    assert not torch.equal(batch(data, 3), batch(data, 4))


def test_a_loader():
    data = RateDigits(steps=4, batch_size=20, limit=100)
    data.setup("fit")
    assert data.shape == (1, 8, 8)
    assert next(iter(data.val_dataloader()))[0].shape[1:] == (1, 8, 8)


def test_no_steps():
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        RateDigits(steps=0)
