"""`scan`: the one door to every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from neurodyn.errors import unknown
from neurodyn.scan.reference import Sequences, scan_reference

BACKENDS = ("auto", "reference")


class Cell(Protocol):
    """What `scan` runs: a module with a step. Its tensors are the step's parameters."""

    def step(self, *inputs_and_states: Tensor) -> tuple[Tensor, ...]: ...


def scan(
    cell: Cell,
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    *,
    backend: str = "auto",
    record: bool = False,
) -> tuple[Sequences, Sequences, Sequences]:
    """Run `cell.step` over the first dimension of the inputs.

    Args:
        cell: the step and its parameters.
        inputs: sequences of equal shape `(T, ...)`, T >= 1.
        state: initial states, each broadcastable to one step `inputs[0].shape[1:]`.
        backend: `"reference"` is the plain loop; `"auto"` takes the fastest that can run.
        record: return every state over time as well.

    Returns:
        `(outputs, final_state, recorded)`: tuples of sequences `(T, ...)`, of tensors of one
        step's shape, and of sequences `(T, ...)`, the last empty unless `record`.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    shape = inputs[0].shape
    for i, sequence in enumerate(inputs):
        if sequence.shape != shape:
            raise ValueError(
                f"inputs[{i}]: expected {tuple(shape)} as inputs[0], got {tuple(sequence.shape)}"
            )
    if shape[0] == 0:
        raise ValueError("inputs: expected at least one timestep, got T=0")
    full = tuple(value.expand(shape[1:]) for value in state)
    return scan_reference(cell.step, inputs, full, record)
