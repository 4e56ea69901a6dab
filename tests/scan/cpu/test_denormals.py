"""Kernels take denormal numbers as zero, and leave the process as it was."""

import llvmlite.binding as llvm
import pytest
import torch

from neurodyn.neurons import LIF
from neurodyn.scan.cpu.denormals import definitions

TINY = 1e-40
"""A denormal number of float32."""


def test_a_kernel_takes_denormals_as_zero_and_the_process_does_not():
    x = torch.full((3, 2, 5), TINY)
    _, (u,) = LIF(backend="cpu")(x, return_state=True)
    _, (loop,) = LIF(backend="reference")(x, return_state=True)
    assert u.eq(0).all()
    assert loop.gt(0).all()
    assert (torch.full((4,), TINY) * 0.5).gt(0).all()


@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "aarch64", "arm64", "riscv64"])
def test_every_processor_has_both_functions(machine):
    module = llvm.parse_assembly(definitions(machine))
    module.verify()
    defined = {f.name for f in module.functions if not f.is_declaration}
    assert defined == {"flush_denormals", "restore_denormals"}
