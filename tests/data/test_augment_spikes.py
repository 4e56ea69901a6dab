from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from neurodyn.data.augment_spikes import SpikeAugment

T, B, C, K = 20, 400, 30, 5
ONES, LABELS = torch.ones(T, B, C), torch.arange(B) % K


def varied(**options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return SpikeAugment((T, C), K, **options)(ONES, LABELS, 3)


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
    after, labels = SpikeAugment((T, C), K, cutmix=0.5)(where, LABELS, 3)
    assert (after == after[..., :1]).all()
    sample, step = after[..., 0] % B, after[..., 0] // B
    assert torch.equal(step.long(), torch.arange(T)[:, None].expand(T, B))
    foreign = sample != torch.arange(B)
    assert 0.4 < (runs(foreign) > 0).float().mean() < 0.56
    expected = F.one_hot(LABELS[sample.long()], K).float().mean(0)
    torch.testing.assert_close(labels, expected)


def test_all_together_on_frames_and_only_from_the_seed() -> None:
    options: dict[str, Any] = {"cutmix": 0.5, "time_mask": 0.65, "channel_mask": 0.65}
    frames = torch.rand(T, 6, 2, 4, 5)
    augment = SpikeAugment((T, 2, 4, 5), K, **options)
    state = torch.get_rng_state()
    first, labels = augment(frames, LABELS[:6], 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == frames.shape
    assert labels.shape == (6, K)
    assert torch.equal(first, augment(frames, LABELS[:6], 1)[0])
    assert not torch.equal(first, augment(frames, LABELS[:6], 2)[0])


def test_nothing_asked_for_changes_nothing() -> None:
    assert varied()[0] is ONES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cutmix": 1.5}, "cutmix: expected a number from 0 to 1, got 1.5"),
        ({"time_mask": 0.5, "time_mask_steps": 21}, "time_mask_steps: .* from 1 to 20, got 21"),
        ({"channel_mask": 0.5, "channel_mask_width": 0}, "channel_mask_width: .* from 1 to 30"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        varied(**options)
