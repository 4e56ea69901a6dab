"""Compiles the kernels of cells for a GPU, in a process of its own: a process either interprets
kernels or compiles them.

    python -m tests.scan.gpu.cells LNM choices ...

takes neurons, cells of `tests/step/test_aten.py` and `crowded` (hostile names). It prints a line
for each kernel: the cell, the direction, the registers of a thread and the bytes of its stack.
"""

import os
import sys

import torch

FEATURES = (64, 8, 8)


def cell_of(name):
    """A cell, its initial states, and how many inputs it has."""
    from neurodyn import neurons
    from tests.step.test_aten import CELLS, Cell
    from tests.step.test_names import Crowded

    if name == "crowded":
        return Crowded(), [torch.zeros(())], 1
    if name in CELLS:
        return Cell(CELLS[name]), [torch.zeros(())], 2
    neuron = getattr(neurons, name)(FEATURES, per="channel")
    return neuron, neuron.initial_state(), 1


def main(names):
    from neurodyn.scan.gpu.machine import compiled, launches, read

    dtypes = (torch.float32, torch.bfloat16, torch.float16)
    for i, name in enumerate(names):
        cell, state, n_inputs = cell_of(name)
        steps = 16 if name == "ALIF" else 3
        x = torch.empty(steps, 6, *FEATURES, dtype=dtypes[i % 3], device="meta")
        for launch in launches(cell, x, state, n_inputs=n_inputs, finals=True):
            found = read(compiled(launch))
            direction = "backward" if launch.wanted else "forward"
            print(name, direction, found.registers, found.stack, flush=True)


if __name__ == "__main__":
    os.environ.pop("TRITON_INTERPRET", None)
    main(sys.argv[1:])
