"""The text of the CPU kernels: the step's operations inside loops, in LLVM's language.

A kernel works column by column, so that its data stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.scan.cpu.backward import Backward
from neurodyn.scan.cpu.coupled import CoupledBackward, CoupledForward
from neurodyn.scan.cpu.forward import Forward
from neurodyn.scan.cpu.loops import Kernel
from neurodyn.scan.layout import OperandKind
from neurodyn.scan.links import NO_LINKS, Links
from neurodyn.step.functions import Functions
from neurodyn.step.graph import Node


def forward(
    functions: Functions,
    bits: int,
    kinds: Sequence[OperandKind],
    stored: Sequence[str] = (),
    links: Links = NO_LINKS,
    together: int = 1,
) -> str:
    """The module of the forward kernel.

    Args:
        functions: the functions; those for the derivative are left out.
        bits: 32 or 64, the size of a real.
        kinds: how each state and each of `functions.parameters` is found (`layout.Operand`).
        stored: the kind of the numbers of each argument in memory (`rows.Row`); reals if not given.
        links: where matrices link states and inputs.
        together: blocks that are visited at once.
    """
    states = functions.trace.states
    outputs = [f"out{i}" for i in range(functions.trace.n_outputs)]
    names = [*outputs, *(f"{u}_final" for u in states), *(f"{u}_checkpoints" for u in states)]
    fed = [functions.trace.inputs[i] for i in links.fed]
    names += [*(f"{x}_total" for x in fed), *_matrices(fed, links)]
    kernel = Kernel("forward", functions, bits, kinds, names, stored, together)
    if fed:
        CoupledForward(kernel, outputs, fed, links.onward).emit()
    else:
        Forward(kernel, outputs).emit()
    return kernel.text()


def backward(
    functions: Functions,
    bits: int,
    kinds: Sequence[OperandKind],
    stored: Sequence[str] = (),
    links: Links = NO_LINKS,
    together: int = 1,
) -> str:
    """The module of the backward kernel; arguments as for `forward`."""
    states, grads = functions.trace.states, functions.trace.grads
    inputs = [x for x in functions.trace.inputs if functions.gradient(x)]
    names = [*map(str, grads), *(f"{u}_checkpoints" for u in states)]
    names += [*(f"grad_{x}" for x in inputs), *(f"sum_{leaf}" for leaf in functions.summed)]
    fed = [functions.trace.inputs[i] for i in links.fed]
    names += (["before"] if fed else []) + (["after"] if links.onward else [])
    names += _matrices(fed, links)
    kernel = Kernel("backward", functions, bits, kinds, names, stored, together)
    if fed:
        CoupledBackward(kernel, inputs, fed, links.onward).emit()
    else:
        Backward(kernel, inputs).emit()
    return kernel.text()


def _matrices(fed: Sequence[Node], links: Links) -> list[str]:
    return [f"{x}_matrix" for x in fed] + (["onward_matrix"] if links.onward else [])
