from __future__ import annotations

import numpy as np
import pytest
import torch

from neurodyn.data import SequenceData
from neurodyn.data.samples import Batch
from tests.data.test_base import fit


class Ramp(SequenceData):
    """Sample n holds `n + t` in each of its two features."""

    shape, steps, classes = (2,), 5, 4

    def read(self, train: bool) -> Batch:
        start = torch.arange(40)
        values = (start[:, None] + torch.arange(5))[..., None].expand(-1, -1, 2)
        return values.to(torch.uint8), start % 4


def test_batches_are_floats_time_first() -> None:
    model = fit(Ramp(batch_size=8, validation=8))
    for stage in ("train", "val"):
        sequences, labels = model.seen[stage][0]
        assert sequences.shape == (5, 8, 2)
        assert sequences.dtype == torch.float32
        assert sequences.is_contiguous()
        assert torch.equal(sequences[0, :, 0].long() % 4, labels)
        assert torch.equal(sequences[3], sequences[0] + 3)


def test_a_memory_mapped_file_is_not_copied(tmp_path) -> None:
    np.save(tmp_path / "values.npy", np.zeros((40, 5, 2), np.uint8))
    mapped = torch.from_numpy(np.load(tmp_path / "values.npy", mmap_mode="c"))

    class Mapped(Ramp):
        def read(self, train: bool) -> Batch:
            return mapped, torch.arange(40) % 4

    data = Mapped(limit=20)
    data.setup("fit")
    assert data._training.values.data_ptr() == mapped.data_ptr()
    assert len(data._training) == 20


@pytest.mark.parametrize("values", [torch.zeros(40, 5, 2), torch.zeros(40, 4, 2).byte()])
def test_sequences_of_another_kind(values: torch.Tensor) -> None:
    data = Ramp()
    with pytest.raises(ValueError, match=r"expected \(5, 2\), torch.uint8 or torch.float16"):
        data.checked(values, torch.zeros(40), part="training")
