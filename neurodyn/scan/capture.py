"""The scan as `torch.compile` sees it."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.scan.choice import Asked, look_up, run
from neurodyn.scan.launch import backend_of
from neurodyn.scan.links import misfit
from neurodyn.scan.loop import INLINE_STEPS, compute_dtype
from neurodyn.scan.reference import Sequences
from neurodyn.step.program import Numbers, number_at, numbers
from neurodyn.step.torch_private import assume_constant_result


def captured(asked: Asked) -> tuple[Sequences, Sequences, Sequences] | None:
    """The scan as one operator of the captured graph; None if the plain loop has to be captured.

    On a GPU, unless a backend is named, a short loop is left to Inductor, which fuses it with its
    neighbours. (On a CPU, Inductor's loop takes four times as long as the kernel, fused or not. A
    long one would take minutes to compile.)
    """
    cell, inputs, state, backend = asked[:4]
    x = inputs[0]
    if backend == "auto" and x.device.type != "cpu" and x.shape[0] <= INLINE_STEPS:
        return None
    assert isinstance(cell, nn.Module)
    signature = len(inputs), len(state), compute_dtype(inputs, state)
    dtypes, onward = tuple(sequence.dtype for sequence in inputs), asked.linked.links.onward
    owner, method, given = getattr(cell, "made_by", None) or (cell, "", ())
    found = _constant_choice(
        id(owner), method, given, *signature, backend, x.device.type, dtypes, onward
    )
    if isinstance(found, str):
        if backend != "auto":
            raise asked.error(found)
        return None
    # One step is traced for its guards alone: a change of what it reads has to lead here again. Its
    # result is unused and drops out of the graph.
    cell.step(*(x[0] for x in inputs), *(value.expand(x.shape[1:]) for value in state))
    name, key, names, n_outputs, constants = found
    # A number that changes becomes a symbol for `torch.compile`; comparing it is a guard on it.
    if any(number_at(cell, path) != value for path, value in constants):
        return None
    leaves = [*inputs, *state, *(_tensor(cell, name) for name in names)]
    return run(name, key, leaves, n_outputs, asked)


def _tensor(module: nn.Module, name: str) -> Tensor:
    value: Any = module
    for part in name.split("."):  # `c.0` is an element of a tensor `c`.
        value = value[int(part)] if isinstance(value, Tensor) else getattr(value, part)
    assert isinstance(value, Tensor)
    return value


@assume_constant_result
def _constant_choice(
    owner_id: int,
    method: str,
    given: tuple[Any, ...],
    n_inputs: int,
    n_states: int,
    dtype: torch.dtype,
    backend: str,
    device: str,
    dtypes: tuple[torch.dtype, ...],
    onward: tuple[int, ...],
) -> tuple[str, str, tuple[str, ...], int, Numbers] | str:
    """Backend, key, names of tensors, number of outputs, and numbers of the cell; or why there is
    none.

    Before PyTorch 2.12 a constant function takes no module. It takes the `id` of one, which is
    guarded in the same way. The caller holds the module, so it is alive. A cell that is made in
    the captured code has no `id` yet: `method` of the module that is its owner makes one like it.
    """
    owner: Any = ctypes.cast(owner_id, ctypes.py_object).value
    cell: nn.Module = getattr(owner, method)(*given) if method else owner
    choice = look_up(cell, n_inputs, n_states, dtype, backend, device)
    if isinstance(choice, str):
        return choice
    name, program, _ = choice
    reason = program.failures.get(name) or backend_of(name).why_not(program, device, dtypes)
    reason = reason or misfit(onward, program.trace)
    return reason or (name, program.key, program.names, program.trace.n_outputs, numbers(cell))
