"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whatever runs before it."""
    torch.manual_seed(0)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(1)
