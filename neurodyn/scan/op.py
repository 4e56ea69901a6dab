"""The scan as an operator of PyTorch: seen by autograd, by `torch.compile` and by fake tensors.

The operator gets a program by its key, so that it can stand in a captured graph. Its derivative is
a second operator, which has none itself: differentiating twice is refused.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.scan.layout import memory_order, ordered_empty
from neurodyn.step.program import program_by_key

Tensors = list[Tensor]

torch.library.define(
    "neurodyn::scan",
    "(str backend, str key, Tensor[] inputs, Tensor[] states, Tensor[] parameters, "
    "bool keep, bool final) -> Tensor[]",
)
torch.library.define(
    "neurodyn::scan_backward",
    "(str backend, str key, Tensor[] inputs, Tensor[] states, Tensor[] parameters, "
    "Tensor?[] grads, bool[] wanted, Tensor[] checkpoints) -> Tensor[]",
)


@cache
def backend_module(name: str) -> ModuleType:
    """The module of a backend; LLVM and Triton are imported when they are first asked for."""
    return importlib.import_module(f"neurodyn.scan.{name}")


def _scan(
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    keep: bool,
    final: bool,
) -> Tensors:
    forward = backend_module(backend).forward
    groups = map(_written_out, (inputs, states, parameters))
    result: Tensors = forward(program_by_key(key), *groups, keep, final)
    return result


def _scan_backward(
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    grads: list[Tensor | None],
    wanted: list[bool],
    checkpoints: Tensors,
) -> Tensors:
    program = program_by_key(key)
    module = backend_module(backend)
    groups = map(_written_out, (inputs, states, parameters))
    grads = [None if g is None or g._is_zerotensor() else g.resolve_neg() for g in grads]
    given = module.backward(program, *groups, grads, tuple(wanted), checkpoints)
    leaves = (*inputs, *states, *parameters)
    # What the step does not depend on has a gradient of zero, which an operator has to write out.
    return [
        torch.zeros_like(leaf) if grad is None else grad
        for leaf, grad, w in zip(leaves, given, wanted, strict=True)
        if w
    ]


@torch.library.register_fake("neurodyn::scan")
def _fake_scan(
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    keep: bool,
    final: bool,
) -> Tensors:
    program, x, steps = program_by_key(key), inputs[0], inputs[0].shape[0]
    outputs = [_like(x, steps, x.dtype) for _ in range(program.trace.n_outputs)]
    finals = [_like(x, None, program.dtype) for _ in states if final]
    length = backend_module(backend).segment(steps)
    saved = states if keep and steps > length else []
    return [*outputs, *finals, *(_like(x, -(-steps // length), program.dtype) for _ in saved)]


@torch.library.register_fake("neurodyn::scan_backward")
def _fake_backward(
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    grads: list[Tensor | None],
    wanted: list[bool],
    checkpoints: Tensors,
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
    def forward(
        ctx: Any, backend: str, key: str, keep: bool, final: bool, n: int, m: int, *leaves: Tensor
    ) -> Any:
        groups = list(leaves[:n]), list(leaves[n : n + m]), list(leaves[n + m :])
        with torch._C._AutoDispatchBelowAutograd():
            run = _scan if _plain(leaves[0]) else torch.ops.neurodyn.scan.default
            results = run(backend, key, *groups, keep, final)
        visible = program_by_key(key).trace.n_outputs + (m if final else 0)
        ctx.backend, ctx.key, ctx.n, ctx.m = backend, key, n, m
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*results[visible:])
        ctx.save_for_backward(*leaves, *results[visible:])
        ctx.count, ctx.visible, ctx.unasked = len(leaves), visible, 0 if final else m
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        n, m = ctx.n, ctx.m
        saved = ctx.saved_tensors  # Once: whoever reads it again unpacks again.
        leaves, checkpoints = saved[: ctx.count], saved[ctx.count :]
        groups = leaves[:n], leaves[n : n + m], leaves[n + m :]
        wanted = list(ctx.needs_input_grad[6:])
        given = [*map(_single, grads[: ctx.visible]), *(None for _ in range(ctx.unasked))]
        once = _plain(leaves[0]) and not torch.is_grad_enabled()
        run = _scan_backward if once else torch.ops.neurodyn.scan_backward.default
        pulled = iter(run(ctx.backend, ctx.key, *groups, given, wanted, checkpoints))
        return *(None for _ in range(6)), *(next(pulled) if w else None for w in wanted)


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
    backend: str,
    key: str,
    inputs: Tensors,
    states: Tensors,
    parameters: Tensors,
    keep: bool,
    final: bool,
) -> Tensors:
    counts, leaves = (len(inputs), len(states)), (*inputs, *states, *parameters)
    results = _Scan.apply(backend, key, keep, final, *counts, *leaves)  # type: ignore[no-untyped-call]
    return list(results)


def _differentiable_backward(*arguments: Any) -> Tensors:
    leaves = [t for group in arguments[2:6] for t in group if t is not None]
    return list(_Once.apply(arguments, *leaves))  # type: ignore[no-untyped-call]


torch.library.impl("neurodyn::scan", ("CPU", "CUDA"))(_scan)
torch.library.impl("neurodyn::scan_backward", ("CPU", "CUDA"))(_scan_backward)
torch.library.impl("neurodyn::scan", "Autograd")(_differentiable_scan)
torch.library.impl("neurodyn::scan_backward", "Autograd")(_differentiable_backward)


def scan_op(
    backend: str,
    key: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    final: bool,
) -> Tensors:
    """Outputs and, if asked for, final states of the program of that key; differentiable once."""
    keep = torch.is_grad_enabled() and any(
        leaf.requires_grad for leaf in (*inputs, *states, *parameters)
    )
    run = _differentiable_scan if keep else _scan
    if torch.compiler.is_compiling() or not _plain(inputs[0]):
        run = torch.ops.neurodyn.scan.default
    results: Tensors = run(backend, key, list(inputs), list(states), list(parameters), keep, final)
    return results


def _written_out(tensors: Tensors) -> Tensors:
    """The tensors with their numbers in memory as they are: not the negatives of what lies there,
    nor zeros that lie nowhere."""
    return [torch.zeros_like(x) if x._is_zerotensor() else x.resolve_neg() for x in tensors]


def _single(grad: Tensor | None) -> Tensor | None:
    if grad is not None and torch._C._functorch.is_legacy_batchedtensor(grad):
        raise RuntimeError(
            "scan: the compiled kernels take one gradient at a time, not a batch of them "
            "(is_grads_batched=True, vectorize=True); use backend='reference'"
        )
    return grad


def _plain(x: Tensor) -> bool:
    """Whether nobody listens at the dispatcher, which takes longer than a small kernel: then the
    functions behind the operators are called directly."""
    return type(x) in (Tensor, nn.Parameter) and not torch._C._len_torch_dispatch_stack()
