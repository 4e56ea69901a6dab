"""The text of the CPU kernels: the step's operations inside loops, in LLVM's language.

A kernel works column by column, so that its data stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.scan.cpu.backward import Backward
from neurodyn.scan.cpu.forward import Forward
from neurodyn.scan.cpu.loops import Kernel
from neurodyn.scan.layout import OperandKind
from neurodyn.step.functions import Functions


def forward(
    functions: Functions, bits: int, kinds: Sequence[OperandKind], stored: Sequence[str] = ()
) -> str:
    """The module of the forward kernel.

    Args:
        functions: the functions; those for the derivative are left out.
        bits: 32 or 64, the size of a real.
        kinds: how each state and each of `functions.parameters` is found (`layout.Operand`).
        stored: the kind of the numbers of each argument in memory (`rows.Row`); reals if not given.
    """
    states = functions.trace.states
    outputs = [f"out{i}" for i in range(functions.trace.n_outputs)]
    names = [*outputs, *(f"{u}_final" for u in states), *(f"{u}_checkpoints" for u in states)]
    kernel = Kernel("forward", functions, bits, kinds, names, stored)
    Forward(kernel, outputs).emit()
    return kernel.text()


def backward(
    functions: Functions, bits: int, kinds: Sequence[OperandKind], stored: Sequence[str] = ()
) -> str:
    """The module of the backward kernel; arguments as for `forward`."""
    states, grads = functions.trace.states, functions.trace.grads
    inputs = [x for x in functions.trace.inputs if functions.gradient(x)]
    names = [*map(str, grads), *(f"{u}_checkpoints" for u in states)]
    names += [*(f"grad_{x}" for x in inputs), *(f"sum_{leaf}" for leaf in functions.summed)]
    kernel = Kernel("backward", functions, bits, kinds, names, stored)
    Backward(kernel, inputs).emit()
    return kernel.text()
