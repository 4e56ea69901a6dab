from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from neurodyn.data.augment.spikes import SpikeAugment

T, B, C, K = 20, 400, 30, 5
ONES, LABELS = torch.ones(T, B, C), torch.arange(B) % K


def varied(**options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return SpikeAugment(**options)(ONES, LABELS, 3, K)


def runs(silent: torch.Tensor) -> torch.Tensor:
    """Lengths of the silent blocks `(size, B)`, after a look at whether each is one block."""
    assert ((silent.int().diff(dim=0) == 1).sum(0) + silent[0] <= 1).all()
    return silent.sum(0)


def test_time_mask_is_one_block_in_all_channels() -> None:
    after, labels = varied(time_mask=0.65, time_mask_steps=8)
    assert torch.equal(labels, LABELS)
    assert (after == after[..., :1]).all()
    lengths = runs(after[..., 0] == 0)
    assert set(lengths.tolist()) == set(range(9))
    assert abs((lengths > 0).float().mean() - 0.65) < 0.06
    always, _ = varied(time_mask=1.0, time_mask_steps=2)
    assert set(runs(always[..., 0] == 0).tolist()) == {1, 2}
    # Places are uniform: the middle steps are hit equally often.
    often = (after[6:14, :, 0] == 0).float().mean(1)
    assert (often.max() - often.min()) < 0.1


def test_channel_mask_is_one_block_at_all_steps() -> None:
    after, _ = varied(channel_mask=0.65, channel_mask_width=7)
    assert (after == after[:1]).all()
    lengths = runs(after[0].T == 0)
    assert set(lengths.tolist()) == set(range(8))
    assert abs((lengths > 0).float().mean() - 0.65) < 0.06


def test_cutmix_replaces_steps_and_mixes_labels_by_their_share() -> None:
    # Every value names its sample and step.
    where = torch.arange(B)[None, :, None] + B * torch.arange(T)[:, None, None]
    where = where.expand(T, B, C).float()
    after, labels = SpikeAugment(cutmix=0.5)(where, LABELS, 3, K)
    assert (after == after[..., :1]).all()
    sample, step = after[..., 0] % B, after[..., 0] // B
    assert torch.equal(step.long(), torch.arange(T)[:, None].expand(T, B))
    foreign = sample != torch.arange(B)
    assert 0.4 < (runs(foreign) > 0).float().mean() < 0.56
    expected = F.one_hot(LABELS[sample.long()], K).float().mean(0)
    torch.testing.assert_close(labels, expected)


def test_stretching_reads_each_sample_at_its_own_speed() -> None:
    steps = torch.arange(float(T))[:, None, None].expand(T, B, C) + 1
    after = SpikeAugment(stretch=0.3)(steps, LABELS, 3, K)[0]
    assert (after == after[..., :1]).all()
    after = after[..., 0]
    # Where a faster sample is over, there is silence.
    speed = torch.where(after > 0, after, float("nan")).diff(dim=0).nanmean(0)
    assert 0.7 < speed.min() < 0.8
    assert 1.25 < speed.max() < 1.4
    ended = (after[-1] == 0).float().mean()
    assert 0.4 < ended < 0.6
    assert ((after == 0).int().diff(dim=0) >= 0).all()


def test_shifting_moves_all_channels_of_a_sample_alike() -> None:
    channels = torch.arange(1.0, C + 1).expand(T, B, C)
    after = SpikeAugment(shift=4)(channels, LABELS, 3, K)[0]
    assert (after == after[:1]).all()
    moved = after[0, :, C // 2] - channels[0, :, C // 2]
    assert set(moved.tolist()) == set(range(-4, 5))
    inside = after[0] > 0
    expected = channels[0] + moved[:, None]
    assert torch.equal(after[0][inside], expected[inside])
    assert torch.equal(inside, (expected >= 1) & (expected <= C))


def test_all_together_on_frames_and_only_from_the_seed() -> None:
    options: dict[str, Any] = {"cutmix": 0.5, "time_mask": 0.65, "channel_mask": 0.65}
    frames = torch.rand(T, 6, 2, 4, 5)
    augment = SpikeAugment(**options)
    state = torch.get_rng_state()
    first, labels = augment(frames, LABELS[:6], 1, K)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == frames.shape
    assert labels.shape == (6, K)
    assert torch.equal(first, augment(frames, LABELS[:6], 1, K)[0])
    assert not torch.equal(first, augment(frames, LABELS[:6], 2, K)[0])


def test_nothing_asked_for_changes_nothing() -> None:
    assert varied()[0] is ONES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cutmix": 1.5}, "cutmix: expected a number from 0 to 1, got 1.5"),
        ({"time_mask": 0.5, "time_mask_steps": 21}, "time_mask_steps: .* from 1 to 20, got 21"),
        ({"stretch": -0.1}, "stretch: expected a number from 0 to 1, got -0.1"),
        ({"shift": 30}, "shift: expected a number from 0 to 29, got 30"),
        ({"channel_mask": 0.5, "channel_mask_width": 0}, "channel_mask_width: .* from 1 to 30"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        varied(**options)
