"""What all tests share."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    # Triton reads it when it is imported: GPU kernels then run on the CPU, slowly.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whatever runs before it."""
    torch.manual_seed(0)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(1)
