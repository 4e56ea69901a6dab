"""The scan as an operator of PyTorch: seen by autograd, by `torch.compile` and by fake tensors.

The operator gets a plan by its key, so that it can stand in a captured graph. Its derivative is a
second operator, which has none itself: differentiating twice is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from neurodyn.scan import cpu
from neurodyn.scan.layout import plan_layout
from neurodyn.scan.plan import Plan, plan_by_key

Tensors = list[Tensor]

torch.library.define(
    "neurodyn::scan",
    "(str backend, str key, Tensor[] inputs, Tensor[] states, Tensor[] parameters) -> Tensor[]",
)
torch.library.define(
    "neurodyn::scan_backward",
    "(str backend, str key, Tensor[] inputs, Tensor[] states, Tensor[] parameters, "
    "Tensor?[] grads, bool[] wanted) -> Tensor[]",
)


def backend_module(name: str) -> ModuleType:
    """The module of a backend; Triton is imported when it is first asked for."""
    if name == "cpu":
        return cpu
    from neurodyn.scan import gpu

    return gpu


@torch.library.impl("neurodyn::scan", ("CPU", "CUDA"))
def _scan(backend: str, key: str, inputs: Tensors, states: Tensors, parameters: Tensors) -> Tensors:
    result = backend_module(backend).forward(plan_by_key(key), inputs, states, parameters)
    return list(result)


@torch.library.impl("neurodyn::scan_backward", ("CPU", "CUDA"))
def _scan_backward(
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    grads: list[Tensor | None],
    wanted: list[bool],
) -> Tensors:
    plan = plan_by_key(key)
    given = backend_module(backend).backward(plan, inputs, states, parameters, grads, tuple(wanted))
    leaves = (*inputs, *states, *parameters)
    # What the step does not depend on has a gradient of zero, which an operator has to write out.
    return [
        torch.zeros_like(leaf) if grad is None else grad
        for leaf, grad, w in zip(leaves, given, wanted, strict=True)
        if w
    ]


@torch.library.register_fake("neurodyn::scan")
def _fake_scan(
    backend: str, key: str, inputs: Tensors, states: Tensors, parameters: Tensors
) -> Tensors:
    plan, x = plan_by_key(key), inputs[0]
    outputs = [_like(x, x.shape[0], x.dtype) for _ in range(plan.trace.n_outputs)]
    return [*outputs, *(_like(x, None, plan.dtype) for _ in states)]


@torch.library.register_fake("neurodyn::scan_backward")
def _fake_backward(
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    grads: list[Tensor | None],
    wanted: list[bool],
) -> Tensors:
    n = len(inputs)
    likes: list[Tensor] = []
    for i, leaf in enumerate((*inputs, *states, *parameters)):
        if wanted[i]:
            likes.append(_like(inputs[0], leaf.shape[0], leaf.dtype) if i < n else leaf.new_empty(leaf.shape))
    return likes


def _like(x: Tensor, steps: int | None, dtype: torch.dtype) -> Tensor:
    """What a kernel allocates for a sequence like `x`, or for a step of it."""
    layout = plan_layout(tuple(x.shape[1:]), x.stride()[1:], ())
    return layout.empty(x, steps, dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
    ctx.backend, ctx.key, xs, states, parameters = inputs
    ctx.counts = len(xs), len(states), len(parameters)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*xs, *states, *parameters)


def _backward(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
    n, m, _ = ctx.counts
    leaves = ctx.saved_tensors
    wanted = [bool(w) for group in ctx.needs_input_grad[2:] for w in group]
    pulled = iter(
        torch.ops.neurodyn.scan_backward(
            ctx.backend, ctx.key, leaves[:n], leaves[n : n + m], leaves[n + m :], grads, wanted
        )
    )
    full = [next(pulled) if w else None for w in wanted]
    return None, None, full[:n], full[n : n + m], full[n + m :]


torch.library.register_autograd("neurodyn::scan", _backward, setup_context=_setup_context)


def _refuse_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
    pass


def _refuse(ctx: Any, *grads: Any) -> tuple[Any, ...]:
    raise RuntimeError(
        "scan: the compiled kernels cannot be differentiated twice; use backend='reference'"
    )


torch.library.register_autograd(
    "neurodyn::scan_backward", _refuse, setup_context=_refuse_context
)


def scan_op(
    backend: str, plan: Plan, inputs: Sequence[Tensor], states: Sequence[Tensor], parameters: Sequence[Tensor]
) -> Tensors:
    """Run a plan's kernels; differentiable once."""
    result: Tensors = torch.ops.neurodyn.scan(
        backend, plan.key, list(inputs), list(states), list(parameters)
    )
    return result
