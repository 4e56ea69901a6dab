"""The scan as an operator of PyTorch: seen by autograd, by `torch.compile` and by fake tensors.

The operator gets a program by its key, so that it can stand in a captured graph. Its tensors are
the *leaves*: inputs, initial states and parameters, in one list. Its derivative is a second
operator, which has none itself: differentiating twice is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.scan.bind import UnfitError, bind_backward, bind_forward, unfit
from neurodyn.scan.launch import Launch, backend_of, specs
from neurodyn.scan.layout import memory_order, ordered_strides
from neurodyn.step.program import program_by_key
from neurodyn.step.torch_private import (
    below_autograd,
    carries_tangents,
    functorch_active,
    is_batched,
    modes_at_work,
)

Tensors = list[Tensor]
Call = tuple[str, str, bool, bool]
"""The operator's arguments except tensors: backend, key, keep, final."""

torch.library.define(
    "neurodyn::scan", "(str backend, str key, bool keep, bool final, Tensor[] leaves) -> Tensor[]"
)
torch.library.define(
    "neurodyn::scan_backward",
    "(str backend, str key, bool[] wanted, Tensor[] leaves, Tensor?[] grads, "
    "Tensor[] checkpoints) -> Tensor[]",
)


def scan_op(backend: str, key: str, leaves: Tensors, final: bool) -> Tensors:
    """Outputs and, if asked for, final states of the program of that key; differentiable once.

    Raises:
        UnfitError: the backend cannot run it on these tensors.
    """
    keep = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    call = backend, key, keep, final
    compiling = torch.compiler.is_compiling()
    if compiling or not plain(leaves):
        if not compiling and (reason := unfit(backend, program_by_key(key), specs(leaves))):
            raise UnfitError(reason)
        results: Tensors = torch.ops.neurodyn.scan.default(*call, leaves)
    else:
        launch = bind_forward(*call, specs(leaves))
        results = list(_Scan.apply(call, launch, *leaves)) if keep else launch(leaves)
    return results


PLAIN = frozenset({Tensor, nn.Parameter, type(None)})


def plain(tensors: Sequence[Tensor | None]) -> bool:
    """Whether no mode or subclass listens at the dispatcher.

    The functions behind the operators are then called directly, as the dispatcher takes longer
    than a small kernel.
    """
    return PLAIN.issuperset(map(type, tensors)) and not modes_at_work()


def direct(*tensors: Tensor | None) -> bool:
    """Whether a kernel may read the memory of these outside the dispatcher: plain tensors on the
    CPU, and no compiler, transform, mode or tangent at work."""
    return (
        not torch.compiler.is_compiling()
        and plain(tensors)
        and all(t is None or t.device.type == "cpu" for t in tensors)
        and not (functorch_active() or carries_tangents())
    )


def check_single(grads: Sequence[Tensor | None]) -> None:
    """An error if these are a batch of gradients each."""
    if any(grad is not None and is_batched(grad) for grad in grads):
        raise RuntimeError(
            "scan: the compiled kernels take one gradient at a time, not a batch of them "
            "(is_grads_batched=True, vectorize=True); use backend='reference'"
        )


def _scan(backend: str, key: str, keep: bool, final: bool, leaves: Tensors) -> Tensors:
    return bind_forward(backend, key, keep, final, specs(leaves))(leaves)


def _scan_backward(
    backend: str,
    key: str,
    wanted: Sequence[bool],
    leaves: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    checkpoints: Sequence[Tensor],
) -> Tensors:
    tensors = [*leaves, *grads, *checkpoints]
    return bind_backward(backend, key, tuple(wanted), specs(tensors))(tensors)


@torch.library.register_fake("neurodyn::scan")
def _fake_scan(backend: str, key: str, keep: bool, final: bool, leaves: Tensors) -> Tensors:
    program, x, steps = program_by_key(key), leaves[0], leaves[0].shape[0]
    length, states = backend_of(backend).segment(steps), program.trace.states
    saved = states if keep and steps > length else ()
    return [
        *(_like(x, steps, x.dtype) for _ in range(program.trace.n_outputs)),
        *(_like(x, None, program.dtype) for _ in states if final),
        *(_like(x, -(-steps // length), program.dtype) for _ in saved),
    ]


@torch.library.register_fake("neurodyn::scan_backward")
def _fake_backward(
    backend: str,
    key: str,
    wanted: list[bool],
    leaves: Tensors,
    grads: list[Tensor | None],
    checkpoints: Tensors,
) -> Tensors:
    n, x = len(program_by_key(key).trace.inputs), leaves[0]
    return [
        _like(x, leaf.shape[0], leaf.dtype) if i < n else leaf.new_empty(leaf.shape)
        for i, leaf in enumerate(leaves)
        if wanted[i]
    ]


def _like(x: Tensor, steps: int | None, dtype: torch.dtype) -> Tensor:
    """A result as a launch allocates it: a sequence like `x`, or a step if `steps` is None."""
    shape = tuple(x.shape[1:])
    order, _ = memory_order(shape, x.stride()[1:])
    strides = ordered_strides(shape, order)
    if steps is not None:
        shape, strides = (steps, *shape), (x[0].numel(), *strides)
    return torch.empty_strided(shape, strides, dtype=dtype, device=x.device)


class _Scan(torch.autograd.Function):
    """The operator's derivative. Written out, as PyTorch's generic one for lists takes longer than
    a small kernel."""

    @staticmethod
    def forward(ctx: Any, call: Call, launch: Launch | None, *leaves: Tensor) -> Any:
        with below_autograd():
            if launch is None:
                results = torch.ops.neurodyn.scan.default(*call, leaves)
            else:
                results = launch(leaves)
        trace = program_by_key(call[1]).trace
        visible = trace.n_outputs + (len(trace.states) if call[3] else 0)
        ctx.call, ctx.count, ctx.visible = call, len(leaves), visible
        ctx.unasked = len(trace.grads) - visible
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*results[visible:])
        ctx.save_for_backward(*leaves, *results[visible:])
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        check_single(grads)
        backend, key, *_ = ctx.call
        saved = ctx.saved_tensors  # Read once, as reading them again unpacks them again.
        leaves, checkpoints = saved[: ctx.count], saved[ctx.count :]
        given = [*grads[: ctx.visible], *[None] * ctx.unasked]
        wanted = ctx.needs_input_grad[2:]
        direct = plain((*leaves, *grads)) and not torch.is_grad_enabled()
        run = _scan_backward if direct else torch.ops.neurodyn.scan_backward.default
        pulled = iter(run(backend, key, wanted, leaves, given, checkpoints))
        return None, None, *[next(pulled) if w else None for w in wanted]


class Once(torch.autograd.Function):
    """What an operator of a derivative gives; its own derivative is an error that says so."""

    @staticmethod
    def forward(ctx: Any, operator: Any, arguments: tuple[Any, ...], *tensors: Tensor) -> Any:
        with below_autograd():
            return tuple(operator(*arguments))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise RuntimeError(
            "scan: the compiled kernels cannot be differentiated twice; use backend='reference'"
        )


def _differentiable_scan(
    backend: str, key: str, keep: bool, final: bool, leaves: Tensors
) -> Tensors:
    call = backend, key, keep, final
    return list(_Scan.apply(call, None, *leaves))  # type: ignore[no-untyped-call]


def _differentiable_backward(*arguments: Any) -> Tensors:
    tensors = [t for group in arguments[3:] for t in group if t is not None]
    operator = torch.ops.neurodyn.scan_backward.default
    return list(Once.apply(operator, arguments, *tensors))  # type: ignore[no-untyped-call]


torch.library.impl("neurodyn::scan", ("CPU", "CUDA"))(_scan)
torch.library.impl("neurodyn::scan_backward", ("CPU", "CUDA"))(_scan_backward)
torch.library.impl("neurodyn::scan", "Autograd")(_differentiable_scan)
torch.library.impl("neurodyn::scan_backward", "Autograd")(_differentiable_backward)
