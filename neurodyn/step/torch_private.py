"""The private names of PyTorch that this package uses, each with its purpose and a way without it.

They are here and nowhere else, so that a new release of PyTorch can break one file at most.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._ops import _len_torch_dispatch_stack_pre_dispatch
from torch.autograd import forward_ad
from torch.nn import Module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

Function = TypeVar("Function", bound=Callable[..., Any])

functorch_active: Callable[[], bool] = torch._C._are_functorch_transforms_active
"""Whether a transform of `torch.func` is at work, which kernels cannot see through.
Without it: `torch._functorch`'s stack of interpreters, or refuse tensors that are wrapped."""

is_batched: Callable[[Tensor], bool] = torch._C._functorch.is_legacy_batchedtensor
"""Whether a gradient is a batch of gradients (`is_grads_batched=True`), which has no memory of its
own. Without it: drop the check, and find the kernel's error less clear."""

is_zero: Callable[[Tensor], bool] = Tensor._is_zerotensor
"""Whether a tensor is zeros that are not in memory; autograd makes such gradients.
Without it: the tensor's dispatch keys, or `torch.zeros_like` where `data_ptr()` is 0."""

below_autograd: Callable[[], AbstractContextManager[Any]] = torch._C._AutoDispatchBelowAutograd
"""A context in which operators do not look for derivatives, as inside an operator's own.
Without it: `torch.no_grad()`, which is slower."""

DispatchMode = TorchDispatchMode
"""The base of a mode that every operator goes through; steps are recorded by one. Its place is
private, its name documented. Without it: a `torch.overrides.TorchFunctionMode` sees functions
instead of operators, and `torch.fx` could trace the step."""

BatchNorm = _BatchNorm
"""The base of all batch norms. Without it: `nn.BatchNorm1d`, `2d`, `3d` and `nn.SyncBatchNorm`."""

BUILT_IN = torch._C._nn.__name__
"""The module where PyTorch keeps those functions of `torch.nn.functional` that are built in.
Without it: recipes name other functions."""

modes_at_work: Callable[[], int] = torch._C._len_torch_dispatch_stack
"""How many modes listen to every operator (fake tensors, tracing, counters of operations).
Without it: always go through the dispatcher, which is slower."""


def without_modes() -> AbstractContextManager[Any] | None:
    """A context in which no mode listens; None where there is none.

    A step is recorded in it, on plain tensors, whatever its caller does. Without it: record steps
    in a thread of their own, as modes belong to threads.
    """
    if not modes_at_work() and not _len_torch_dispatch_stack_pre_dispatch():
        return None  # The context would import the compiler stack.
    context: AbstractContextManager[Any] = _disable_current_modes()
    return context


def carries_tangents() -> bool:
    """Whether forward-mode differentiation is at work, which kernels have no rule for.

    Without it: `torch.autograd.forward_ad.unpack_dual` of every tensor, which is slower.
    """
    return forward_ad._current_level >= 0


def call_without_hooks(module: Module, called: Callable[..., Any]) -> None:
    """Have a module's call run `called` and nothing else: neither its hooks nor those that watch
    all modules, as counters of operations do. Without it: empty `torch.nn.modules.module`'s
    dictionaries of hooks meanwhile, which other threads would notice.
    """
    module._compiled_call_impl = called


def loop_operator() -> Callable[..., Any]:
    """PyTorch's operator that runs a function over time, `(body, state, inputs) -> (state,
    outputs)`, as exported programs hold it. Without it: unroll the loop.
    """
    # Parts of the compiler stack, which an export has loaded.
    from torch._dynamo import config
    from torch._higher_order_ops.scan import scan

    if torch.compiler.is_dynamo_compiling():
        return scan
    # What is compiled already has guards, and asking them would bind sizes that are to be dynamic.
    torch.compiler.reset()
    # Otherwise a size of 1 that broadcasts may become a symbol.
    static: Callable[..., Any] = config.patch(assume_static_by_default=True)(scan)
    return static


def surely(condition: Any) -> bool:
    """Whether a condition on a captured size holds for all that it can be, without making the
    condition part of the program. Without it: the condition itself.
    """
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(condition)


def assume_constant_result(function: Function) -> Function:
    """Have `torch.compile` call a function when it captures, and take its result as a constant.

    `torch.compiler.assume_constant_result` does the same; it imports the compiler stack, which
    takes seconds.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
