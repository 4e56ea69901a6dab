from __future__ import annotations

from typing import Any

import pytest
import torch

from neurodyn.data.augment.events import EventAugment, _nda

T, B, S = 6, 300, 24
FRAMES = torch.randint(0, 4, (T, B, 2, S, S), generator=torch.Generator().manual_seed(0)).float()


def same(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Which samples are the same, `(B,)`."""
    return (first == second).transpose(0, 1).flatten(1).all(1)


def test_flip() -> None:
    after = EventAugment(flip=True)(FRAMES, 1)
    mirrored, kept = same(after, FRAMES.flip(-1)), same(after, FRAMES)
    assert (mirrored ^ kept).all()
    assert 110 < mirrored.sum() < 190


def test_roll_shifts_all_steps_of_a_sample_alike() -> None:
    after = EventAugment(roll=2)(FRAMES, 1)
    shifts = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    matches = torch.stack([same(after, FRAMES.roll(shift, (-2, -1))) for shift in shifts])
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) > 0).all()


def test_nda_makes_one_change_a_sample() -> None:
    after = EventAugment(nda=True)(FRAMES, 1)
    assert after.shape == FRAMES.shape
    # A quarter is rolled: the same events at other places.
    rolls = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    rolled = torch.stack([same(after, FRAMES.roll(shift, (-2, -1))) for shift in rolls]).any(0)
    # Small turns leave everything in its pixel, too.
    assert 50 < rolled.sum() < 120
    # A quarter has a hole, at the same place in all steps and nowhere else changed.
    hole = ((after == 0) & (FRAMES > 0)).any(0).any(1)
    cut = same(after, torch.where(hole[None, :, None], 0, FRAMES)) & ~rolled
    assert 40 < cut.sum() < 110
    assert hole[cut].flatten(1).sum(1).max() <= 16
    # What is turned or sheared still holds whole events, most of them where it stood.
    rest = after[:, ~(rolled | cut)]
    assert torch.equal(rest, rest.round())
    assert (rest.sum() / FRAMES[:, ~(rolled | cut)].sum()) > 0.7


def test_a_turn_is_a_turn() -> None:
    """The bars of a cross tilt to opposite sides, and it keeps its middle; a shear tilts one."""
    cross = torch.zeros(1, 200, 2, 25, 25)
    cross[:, :, 0, 12] = 1
    cross[:, :, 1, :, 12] = 1
    after = _nda(cross, torch.Generator().manual_seed(0))[0]
    away = torch.arange(25.0) - 12
    tilt = (after * away[:, None] * away).sum((-2, -1))
    turned = tilt[:, 0].abs() > 100
    assert turned.sum() > 20
    assert (tilt[turned].sign().sum(1) == 0).all()
    assert (after[turned][:, :, 12, 12] == 1).all()
    assert ((tilt[:, 1].abs() > 100) & ~turned).sum() > 20


def test_drop() -> None:
    after = EventAugment(drop=0.8)(FRAMES + 1, 1)
    gone = after == 0
    assert torch.equal(after, torch.where(gone, 0, FRAMES + 1))
    hit = gone.transpose(0, 1).flatten(1).any(1)
    assert 0.65 < hit.float().mean() < 0.85, "a dropped stretch of time can have no step"
    whole_steps = gone.flatten(2).all(2)
    assert whole_steps.sum(0).max() == 3, "half of the time"
    area = (gone == gone[:1]).transpose(0, 1).flatten(1).all(1) & hit
    assert 40 < area.sum() < 120


def test_all_together_depends_on_the_seed_alone() -> None:
    options: dict[str, Any] = {"flip": True, "roll": 5, "nda": True, "drop": 0.5}
    augment, frames = EventAugment(**options), FRAMES[:, :8]
    torch.manual_seed(1)
    first, state = augment(frames, 1), torch.get_rng_state()
    assert torch.equal(first, augment(frames, 1))
    assert not torch.equal(first, augment(frames, 2))
    assert torch.equal(torch.get_rng_state(), state)


def test_nothing_asked_for_changes_nothing() -> None:
    assert EventAugment()(FRAMES, 1) is FRAMES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": 2.0}, "drop: expected a number from 0 to 1, got 2.0"),
        ({"roll": -1}, "roll: expected at least 0, got -1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventAugment(**options)
