"""Triton kernels as machine code of a GPU that need not be there.

The interpreter runs what Triton's compiler refuses; this is that compiler. A script, in a process
of its own, because a process either interprets kernels or compiles them:

    python machine.py LNM choices ...

takes neurons, cells of `tests/step/test_aten.py` and `crowded` (hostile names) by their names, or
all neurons where none is named. It prints a line for each kernel, with the registers of a thread
and the bytes that found none.
"""

import inspect
import itertools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

HOPPER = ("cuda", 90, 32)
KINDS = {"layer": ("one", 1), "channel": ("one", 64), "neuron": ("row", 1), "given": ("full", 1)}
STORED = {"f32": "*fp32", "bf16": "*bf16", "f16": "*fp16"}


def cell_of(name):
    """A cell, and how many inputs it has."""
    from neurodyn import neurons

    if hasattr(neurons, name):
        return getattr(neurons, name)(), 1
    from tests.step.test_aten import CELLS, Cell
    from tests.step.test_names import Crowded

    if name == "crowded":
        return Crowded(), 1
    return Cell(CELLS[name]), 2


def kernels(name, by, segments):
    """A cell's kernels: direction, steps of a segment, function, what is constant, what is stored
    as the inputs are."""
    from neurodyn.scan.gpu import BACKWARD, FORWARD, SHORT
    from neurodyn.scan.gpu.build import load_kernel
    from neurodyn.scan.gpu.loops import print_backward, print_forward
    from neurodyn.step.program import program_of

    cell, n_inputs = cell_of(name)
    program, _ = program_of(cell, n_inputs, len(getattr(cell, "states", "u")), torch.float32)
    trace, (kind, size) = program.trace, KINDS[by]
    outputs = [f"out{i}" for i in range(trace.n_outputs)]
    inputs = [str(x) for x in trace.inputs]
    like_x = {*inputs, *outputs, *(f"grad_{x}" for x in (*inputs, *outputs))}
    for direction, length in itertools.product(("forward", "backward"), segments):
        wanted = None if direction == "forward" else (True,) * len(trace.vjp)
        functions, _ = program.functions(wanted)
        kinds = [kind] * (len(trace.states) + len(functions.parameters))
        if wanted is None:
            text = print_forward(functions, kinds)
            constants = {"LENGTH": length, "KEEP": length > SHORT, "FINAL": True, "BLOCK": FORWARD}
        else:
            text = print_backward(functions, kinds, length)
            constants = {"CHECKPOINTS": length > SHORT, "FINALS": True, "BLOCK": BACKWARD // length}
        constants["DENSE"] = by != "neuron"
        function = getattr(load_kernel(program.name, text), direction)
        names = inspect.signature(function.fn).parameters
        constants |= {name: size for name in names if name.endswith("_size")}
        yield direction, length, function, constants, like_x


def compiled(function, constants, like_x, stored):
    """A kernel's machine code, for tensors and numbers as a launch finds them."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from neurodyn.scan.gpu import WARPS

    names = list(inspect.signature(function.fn).parameters)
    kinds = dict.fromkeys(constants, "constexpr") | {"steps": "i32"}
    for name in names:
        if name.endswith("_p"):
            kinds[name] = STORED[stored] if name[:-2] in like_x else "*fp32"
    signature = {name: kinds.get(name, "i64") for name in names}
    # All but the number of steps are multiples of 16.
    aligned = [i for i, name in enumerate(names) if signature[name] not in ("constexpr", "i32")]
    source = ASTSource(
        function,
        signature,
        {(names.index(name),): value for name, value in constants.items()},
        {(i,): [["tt.divisibility", 16]] for i in aligned},
    )
    options = {"num_warps": WARPS, "enable_fp_fusion": False}
    return triton.compile(source, target=GPUTarget(*HOPPER), options=options)


def resources(kernel):
    """Registers of a thread, and the bytes of its stack."""
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        command = [str(tool), "-res-usage", file.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return map(int, re.search(r"REG:(\d+) STACK:(\d+)", said).groups())


def main(names, segments):
    # Four ways to find parameters and three dtypes, in turns: every pair has its turn.
    turns = zip(itertools.cycle(KINDS), itertools.cycle(STORED), names, strict=False)
    for by, stored, name in turns:
        for direction, length, *kernel in kernels(name, by, segments):
            registers, spilled = resources(compiled(*kernel, stored))
            print(name, direction, length, registers, spilled, by, stored, flush=True)


if __name__ == "__main__":
    os.environ.pop("TRITON_INTERPRET", None)
    from neurodyn import neurons
    from neurodyn.scan.gpu import LONG, SHORT

    everything = [
        name
        for name in neurons.__all__
        if name != "Neuron"
        and inspect.isclass(getattr(neurons, name))
        and issubclass(getattr(neurons, name), neurons.Neuron)
    ]
    main(sys.argv[1:] or everything, (SHORT, LONG) if not sys.argv[1:] else (LONG,))
