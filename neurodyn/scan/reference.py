"""The reference: the plain loop over time. Kernels are measured against it, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from neurodyn.step.torch_private import loop_operator

Sequences = tuple[Tensor, ...]


def scan_reference(
    step: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    record: bool = False,
) -> tuple[Sequences, Sequences, Sequences]:
    """Outputs over time, final state and (if asked for) every state over time."""
    n_states = len(state)
    current = tuple(state)
    outputs: list[tuple[Tensor, ...]] = []
    history: list[tuple[Tensor, ...]] = []
    # `unbind`, because the backward of `x[t]` writes zeros for the whole sequence at every step.
    for now in zip(*(sequence.unbind(0) for sequence in inputs), strict=True):
        result = step(*now, *current)
        if not isinstance(result, tuple) or len(result) <= n_states:
            got = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            raise ValueError(
                f"step: expected a tuple of outputs and {n_states} new states, got {got}"
            )
        n_outputs = len(result) - n_states
        outputs.append(result[:n_outputs])
        current = result[n_outputs:]
        if record:
            history.append(current)
    stacked = tuple(torch.stack(column) for column in zip(*outputs, strict=True))
    # Dynamo before PyTorch 2.11 gets a `zip` of nothing wrong.
    recorded = tuple(torch.stack(column) for column in zip(*history, strict=True)) if record else ()
    return stacked, current, recorded


def scan_captured(
    step: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    state: Sequence[Tensor],
    record: bool = False,
) -> tuple[Sequences, Sequences, Sequences]:
    """The reference as `torch.export` sees it: one operator of PyTorch that holds the step, so that
    a program does not grow with time and runs without this package. (In ONNX it is a `Scan`.)

    A step that PyTorch cannot capture so is unrolled over time.
    """
    n_states = len(state)

    def body(carried: Sequences, now: Sequences) -> tuple[Sequences, Sequences]:
        # Copies, as the operator takes no two tensors in one memory, whether arguments or results.
        results = [value.clone() for value in step(*now, *carried)]
        cut = len(results) - n_states
        return tuple(results[cut:]), tuple(results[:cut])

    try:
        final, outputs = loop_operator()(
            body,
            tuple(value.clone() for value in state),
            tuple(value.clone() for value in inputs) if len(inputs) > 1 else tuple(inputs),
        )
    except Exception:
        return scan_reference(step, inputs, state, record)
    return tuple(outputs), tuple(final), ()
