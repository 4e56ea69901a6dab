"""The CPU kernels: the step's operations inside loops, in the language of LLVM.

All of a kernel happens column by column, inside the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.scan.cpu.backward import Backward
from neurodyn.scan.cpu.forward import Forward
from neurodyn.scan.cpu.loops import Kernel
from neurodyn.scan.layout import OperandKind
from neurodyn.step.functions import Functions


def forward(functions: Functions, bits: int, kinds: Sequence[OperandKind]) -> str:
    """The module of the forward kernel.

    Args:
        functions: the functions; those for the derivative are left out.
        bits: 32 or 64, the size of a real.
        kinds: how each state and each of `functions.parameters` is found (`layout.Operand`).
    """
    outputs = [f"out{i}" for i in range(functions.trace.n_outputs)]
    finals = [f"{u}_final" for u in functions.trace.states]
    kernel = Kernel(
        "forward", functions, bits, kinds, [*outputs, *finals, *_checkpoints(functions)]
    )
    Forward(kernel, outputs).emit()
    return kernel.text()


def backward(functions: Functions, bits: int, kinds: Sequence[OperandKind]) -> str:
    """The module of the backward kernel; arguments as for `forward`."""
    inputs = [x for x in functions.trace.inputs if functions.gradient(x)]
    learned = [p for p in functions.parameters if functions.gradient(p)]
    names = [
        *map(str, functions.trace.grads),
        *_checkpoints(functions),
        *(f"grad_{x}" for x in inputs),
    ]
    names += [f"sum_{leaf}" for leaf in (*functions.trace.states, *learned)]
    kernel = Kernel("backward", functions, bits, kinds, names)
    Backward(kernel, inputs, learned).emit()
    return kernel.text()


def _checkpoints(functions: Functions) -> list[str]:
    return [f"{u}_checkpoints" for u in functions.trace.states]
