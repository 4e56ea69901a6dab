"""What all tests share."""

import gc
import importlib.util
import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before PyTorch reads it: the threads of processes that share the cores wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

TRITON = importlib.util.find_spec("triton") is not None

if TRITON and not torch.cuda.is_available():
    # Triton reads it when it is imported: GPU kernels then run on the CPU, slowly.
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_collection_modifyitems(items):
    """Without Triton, which Linux alone has, there are no GPU kernels to test."""
    if TRITON:
        return
    for item in items:
        if "gpu" in getattr(getattr(item, "callspec", None), "params", {}).values():
            item.add_marker(pytest.mark.skip(reason="Triton is not installed"))


def pytest_collection_finish(session):
    """What is imported by now stays: collecting garbage need not look through it every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whatever runs before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def same_threads():
    """Every test leaves as many threads as it found: PyTorch's results depend on their number."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(1)
