"""Kernels and parameters are what they were: moves and renames change neither.

Where a change was meant, `python -m tests.golden` writes the new hashes.
"""

import json
from importlib.metadata import version

import pytest

from tests import golden

KNOWN = json.loads(golden.FILE.read_text())


@pytest.mark.parametrize("cls", golden.neuron_classes(), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("backend", golden.BACKENDS)
def test_kernels(cls, backend):
    if backend == "cpu" and version("llvmlite") != KNOWN["kernels"]["llvmlite"]:
        pytest.skip("another llvmlite prints the same kernel in other words")
    assert golden.kernel_hash(cls, backend) == KNOWN["kernels"][f"{cls.__name__} {backend}"]


@pytest.mark.parametrize("name", golden.recipe_names())
def test_networks(name):
    assert golden.state_hash(name) == KNOWN["networks"][name]
