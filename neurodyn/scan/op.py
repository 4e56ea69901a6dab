"""The scan as an operator of PyTorch: seen by autograd, by `torch.compile` and by fake tensors.

The operator gets a plan by its key, so that it can stand in a captured graph. Its derivative is a
second operator, which has none itself: differentiating twice is refused.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from neurodyn.scan.layout import memory_order, ordered_empty
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
    """The module of a backend; Numba and Triton are imported when they are first asked for."""
    return importlib.import_module(f"neurodyn.scan.{name}")


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
            likes.append(
                _like(inputs[0], leaf.shape[0], leaf.dtype) if i < n else leaf.new_empty(leaf.shape)
            )
    return likes


def _like(x: Tensor, steps: int | None, dtype: torch.dtype) -> Tensor:
    """What a kernel allocates for a sequence like `x`, or for a step of it."""
    order, _ = memory_order(tuple(x.shape[1:]), x.stride()[1:])
    return ordered_empty(x, order, steps, dtype)


class _Scan(torch.autograd.Function):
    """The operator's derivative. Written out, as PyTorch's generic one for lists takes longer than
    a small kernel."""

    @staticmethod
    def forward(ctx: Any, backend: str, key: str, n: int, m: int, *leaves: Tensor) -> Any:
        ctx.backend, ctx.key, ctx.n, ctx.m = backend, key, n, m
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*leaves)
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(_call(backend, key, leaves[:n], leaves[n : n + m], leaves[n + m :]))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        n, m, leaves = ctx.n, ctx.m, ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[4:])
        pulled = iter(
            torch.ops.neurodyn.scan_backward.default(
                ctx.backend, ctx.key, leaves[:n], leaves[n : n + m], leaves[n + m :], grads, wanted
            )
        )
        return None, None, None, None, *(next(pulled) if w else None for w in wanted)


class _Once(torch.autograd.Function):
    """The derivative of the derivative: an error that says so."""

    @staticmethod
    def forward(ctx: Any, arguments: tuple[Any, ...], *leaves: Tensor) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(torch.ops.neurodyn.scan_backward.default(*arguments))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise RuntimeError(
            "scan: the compiled kernels cannot be differentiated twice; use backend='reference'"
        )


def _differentiable_scan(
    backend: str, key: str, inputs: Tensors, states: Tensors, parameters: Tensors
) -> Tensors:
    leaves = (*inputs, *states, *parameters)
    results = _Scan.apply(backend, key, len(inputs), len(states), *leaves)  # type: ignore[no-untyped-call]
    return list(results)


def _differentiable_backward(*arguments: Any) -> Tensors:
    leaves = [t for group in arguments[2:6] for t in group if t is not None]
    return list(_Once.apply(arguments, *leaves))  # type: ignore[no-untyped-call]


torch.library.impl("neurodyn::scan", "Autograd")(_differentiable_scan)
torch.library.impl("neurodyn::scan_backward", "Autograd")(_differentiable_backward)


def _call(
    backend: str,
    key: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> Tensors:
    result: Tensors = torch.ops.neurodyn.scan.default(backend, key, inputs, states, parameters)
    return result


def scan_op(
    backend: str,
    plan: Plan,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> Tensors:
    """Run a plan's kernels; differentiable once."""
    return _call(backend, plan.key, list(inputs), list(states), list(parameters))
