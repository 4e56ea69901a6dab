from __future__ import annotations

from typing import Any

import pytest
import torch

from neurodyn.data import Digits, SequentialCIFAR10, SequentialDigits, SequentialMNIST
from neurodyn.data.augment.images import ImageAugment
from tests.data.test_base import fit


def both(**options: Any) -> tuple[torch.Tensor, torch.Tensor, SequentialDigits]:
    """The same training batch as images and over time."""
    crop = ImageAugment(crop=1)
    shown = SequentialDigits(batch_size=32, augment=crop, limit=64, **options)
    images = fit(Digits(batch_size=32, augment=crop, limit=64)).seen["train"][1]
    sequences = fit(shown).seen["train"][1]
    assert torch.equal(images[1], sequences[1])
    assert sequences[0].shape == (shown.steps, 32, *shown.shape)
    assert sequences[0].is_contiguous()
    return images[0], sequences[0], shown


def test_pixels() -> None:
    images, sequences, data = both()
    assert (data.steps, data.shape) == (64, (1,))
    assert torch.equal(sequences[8 * 3 + 5, :, 0], images[:, 0, 3, 5])


def test_pixels_in_a_fixed_random_order() -> None:
    images, sequences, data = both(permuted=True)
    assert data.order is not None
    assert data.order.sort().values.tolist() == list(range(64))
    assert data.order.tolist() != list(range(64))
    assert torch.equal(sequences[7, :, 0], images.flatten(1)[:, data.order[7]])
    torch.manual_seed(5)
    assert torch.equal(SequentialDigits(permuted=True).order, data.order)


def test_pooled_pixels() -> None:
    images, sequences, data = both(pool=2)
    assert data.steps == 16
    torch.testing.assert_close(sequences[4 * 1 + 2, :, 0], images[:, 0, 2:4, 4:6].mean((1, 2)))


def test_rows_and_columns() -> None:
    images, sequences, _ = both(by="row")
    assert torch.equal(sequences[3], images[:, :, 3])
    images, sequences, _ = both(by="column")
    assert torch.equal(sequences[3], images[:, :, :, 3])


def test_shapes_without_data() -> None:
    pixels, small = SequentialMNIST(permuted=True), SequentialMNIST(pool=2)
    assert (pixels.steps, pixels.shape, small.steps) == (784, (1,), 196)
    augment = ImageAugment(auto_augment=True)
    rows, colours = SequentialCIFAR10(by="row"), SequentialCIFAR10(augment=augment)
    assert (rows.steps, rows.shape) == (32, (3, 32))
    assert (colours.steps, colours.shape) == (1024, (3,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 3}, "pool: expected a divisor of 8 and 8, got 3"),
        ({"permuted": True, "by": "row"}, "permuted: expected by='pixel', got by='row'"),
        ({"by": "pixels"}, "by: unknown name 'pixels'. Did you mean 'pixel'?"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequentialDigits(**options)


def test_options_reach_the_command_line() -> None:
    jsonargparse = pytest.importorskip("jsonargparse")
    from neurodyn.data import SampleData

    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(SampleData, "data")
    options = ["--data.permuted=true", "--data.limit=100", "--data.augment.crop=2"]
    args = parser.parse_args(["--data=neurodyn.data.SequentialMNIST", *options])
    assert args.data.init_args.permuted is True
    assert args.data.init_args.augment.crop == 2
    digits = [
        "--data=neurodyn.data.SpokenDigits",
        "--data.validation=theo",
        "--data.augment.time_mask=0.65",
    ]
    assert parser.parse_args(digits).data.init_args.validation == "theo"
    assert (
        parser.parse_args(
            ["--data=neurodyn.data.SHD", "--data.validation=0.2"]
        ).data.init_args.steps
        == 100
    )
