"""The CPU kernels: the step's operations inside loops, in the language of LLVM.

All of a kernel happens column by column, inside the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.scan.cpu_backward import Backward
from neurodyn.scan.cpu_forward import Forward
from neurodyn.scan.cpu_kernel import Kernel
from neurodyn.scan.layout import StaticKind
from neurodyn.scan.parts import Parts


def forward(parts: Parts, bits: int, kinds: Sequence[StaticKind]) -> str:
    """The module of the forward kernel.

    Args:
        parts: the functions; those for the derivative are left out.
        bits: 32 or 64, the size of a real.
        kinds: how each state and each of `parts.parameters` is found (`layout.Static`).
    """
    outputs = [f"out{i}" for i in range(parts.trace.n_outputs)]
    finals = [f"{u}_final" for u in parts.trace.states]
    kernel = Kernel("forward", parts, bits, kinds, [*outputs, *finals, *_marks(parts)])
    Forward(kernel, outputs).emit()
    return kernel.text()


def backward(parts: Parts, bits: int, kinds: Sequence[StaticKind]) -> str:
    """The module of the backward kernel; arguments as for `forward`."""
    inputs = [x for x in parts.trace.inputs if parts.gradient(x)]
    learned = [p for p in parts.parameters if parts.gradient(p)]
    names = [*map(str, parts.trace.grads), *_marks(parts), *(f"grad_{x}" for x in inputs)]
    names += [f"sum_{leaf}" for leaf in (*parts.trace.states, *learned)]
    kernel = Kernel("backward", parts, bits, kinds, names)
    Backward(kernel, inputs, learned).emit()
    return kernel.text()


def _marks(parts: Parts) -> list[str]:
    return [f"{u}_marks" for u in parts.trace.states]
