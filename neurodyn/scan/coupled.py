"""A scan whose first state comes back through matrices into inputs, as an operator of PyTorch.

Forward writes the total inputs, `x[t]` and what comes through matrices. With them the step is
elementwise, so backward reads them as any scan reads its inputs. Neurons are coupled only where an
input's gradient goes back through a matrix. The matrices' gradients are large products after the
loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from neurodyn.scan.bind import REMEMBERED, UnfitError, add_backward, add_forward, unfit
from neurodyn.scan.launch import Launch, Specs, Wanted, backend_of, specs
from neurodyn.scan.links import Linked, Links
from neurodyn.scan.op import Once, check_single, plain
from neurodyn.step.program import program_by_key
from neurodyn.step.torch_private import below_autograd

Tensors = list[Tensor]
Places = tuple[int, ...]
Call = tuple[str, str, Places, Places, bool, bool]
"""The operator's arguments except tensors: backend, key, links (two lists), keep, final."""
WHOLE_ROW = 64
"""Kernels read rows of a matrix whose length is a multiple of this; the rest are zeros."""

torch.library.define(
    "neurodyn::coupled",
    "(str backend, str key, int[] fed, int[] onward, bool keep, bool final, Tensor[] leaves, "
    "Tensor[] matrices) -> Tensor[]",
)
torch.library.define(
    "neurodyn::coupled_backward",
    "(str backend, str key, int[] fed, int[] onward, bool[] wanted, Tensor[] leaves, "
    "Tensor?[] grads, Tensor[] checkpoints, Tensor[] matrices) -> Tensor[]",
)


def coupled_op(backend: str, key: str, leaves: Tensors, final: bool, linked: Linked) -> Tensors:
    """Outputs and, if asked for, final states, as `scan_op`; differentiable once.

    Raises:
        UnfitError: the backend cannot run it on these tensors.
    """
    matrices = linked.matrices
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (*leaves, *matrices))
    call = backend, key, *linked.links, keep, final
    if torch.compiler.is_compiling() or not plain((*leaves, *matrices)):
        if not torch.compiler.is_compiling() and (
            reason := unfit(backend, program_by_key(key), specs(leaves))
        ):
            raise UnfitError(reason)
        results: Tensors = torch.ops.neurodyn.coupled.default(*call, leaves, matrices)
        return results
    launch = _bind_forward(*call, specs((*leaves, *matrices)))
    if keep:
        return list(_Coupled.apply(call, launch, *leaves, *matrices))  # type: ignore[no-untyped-call]
    return launch((*leaves, *matrices))


@lru_cache(maxsize=REMEMBERED)
def _bind_forward(
    name: str, key: str, fed: Places, onward: Places, keep: bool, final: bool, tensors: Specs
) -> Launch:
    """The launch that gives outputs, final states, checkpoints and total inputs.

    Args:
        keep: give checkpoints and total inputs, for a backward pass.
        tensors: inputs, states, parameters and matrices, with which the launch is called.
    """
    program, links = program_by_key(key), Links(fed, onward)
    leaves = len(tensors) - links.matrices
    if (reason := unfit(name, program, tensors[:leaves])) is not None:
        raise UnfitError(reason)
    launch = Launch(name, program, None, tensors, links)
    add_forward(launch, keep, final)
    for _ in fed:
        # Where they are not kept, each step overwrites the last one's.
        layout, dtype = launch.layout, launch.stored(program.dtype)
        strides = (layout.elements if keep else 0, layout.period)
        at = launch.argument(None, launch.fresh(launch.steps if keep else None, dtype), strides)
        launch.results += [itemgetter(at)] if keep else []
    for i in range(leaves, len(tensors)):
        launch.argument(i, _padded)
    return launch.bound()


@lru_cache(maxsize=REMEMBERED)
def _bind_backward(
    name: str, key: str, fed: Places, onward: Places, wanted: Wanted, tensors: Specs
) -> Launch:
    """The launch that gives the wanted gradients of inputs, states and parameters, and sequences
    for those of the matrices: the first state before each step and, if one goes onward, the new
    state that does.

    Args:
        tensors: as for `bind.bind_backward`, with total inputs for those that are fed, and then
            the matrices.
    """
    links = Links(fed, onward)
    given = len(tensors) - links.matrices
    launch = Launch(name, program_by_key(key), wanted, tensors[:given], links)
    add_backward(launch, wanted)
    for _ in range(1 + bool(onward)):
        launch.results.append(launch.written(launch.x.dtype))
    for i in range(given, len(tensors)):
        launch.argument(i, _padded_transposed)
    return launch.bound()


def _padded(matrix: Tensor) -> Tensor:
    """A matrix whose rows lie one after the other, each with zeros up to a whole row."""
    rows, columns = matrix.shape
    width = -(-columns // WHOLE_ROW) * WHOLE_ROW
    if width == columns:
        return matrix.resolve_neg().contiguous()
    wide = matrix.new_zeros(rows, width)
    wide[:, :columns] = matrix
    return wide


def _padded_transposed(matrix: Tensor) -> Tensor:
    return _padded(matrix.t())


def _coupled(
    backend: str,
    key: str,
    fed: Sequence[int],
    onward: Sequence[int],
    keep: bool,
    final: bool,
    leaves: Tensors,
    matrices: Tensors,
) -> Tensors:
    tensors = [*leaves, *matrices]
    links = Links(tuple(fed), tuple(onward))
    return _bind_forward(backend, key, *links, keep, final, specs(tensors))(tensors)


def _coupled_backward(
    backend: str,
    key: str,
    fed: Sequence[int],
    onward: Sequence[int],
    wanted: Sequence[bool],
    leaves: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    checkpoints: Sequence[Tensor],
    matrices: Sequence[Tensor],
) -> Tensors:
    tensors = [*leaves, *grads, *checkpoints, *matrices]
    links = Links(tuple(fed), tuple(onward))
    return _bind_backward(backend, key, *links, tuple(wanted), specs(tensors))(tensors)


@torch.library.register_fake("neurodyn::coupled")
def _fake_coupled(
    backend: str,
    key: str,
    fed: list[int],
    onward: list[int],
    keep: bool,
    final: bool,
    leaves: Tensors,
    matrices: Tensors,
) -> Tensors:
    program, x, steps = program_by_key(key), leaves[0], leaves[0].shape[0]
    length, states = backend_of(backend).segment(steps), program.trace.states
    saved = states if keep and steps > length else ()
    return [
        *(x.new_empty(x.shape) for _ in range(program.trace.n_outputs)),
        *(x.new_empty(x.shape[1:]) for _ in states if final),
        *(x.new_empty((-(-steps // length), *x.shape[1:])) for _ in saved),
        *(x.new_empty(x.shape) for _ in fed if keep),
    ]


@torch.library.register_fake("neurodyn::coupled_backward")
def _fake_backward(
    backend: str,
    key: str,
    fed: list[int],
    onward: list[int],
    wanted: list[bool],
    leaves: Tensors,
    grads: list[Tensor | None],
    checkpoints: Tensors,
    matrices: Tensors,
) -> Tensors:
    gradients = [leaf.new_empty(leaf.shape) for i, leaf in enumerate(leaves) if wanted[i]]
    noted = [leaves[0].new_empty(leaves[0].shape) for _ in range(1 + bool(onward))]
    return gradients + noted


class _Coupled(torch.autograd.Function):
    """The operator's derivative."""

    @staticmethod
    def forward(ctx: Any, call: Call, launch: Launch | None, *tensors: Tensor) -> Any:
        key, fed, onward, final = call[1], *call[2:4], call[5]
        trace, count = program_by_key(key).trace, len(tensors) - Links(fed, onward).matrices
        leaves, matrices = tensors[:count], tensors[count:]
        with below_autograd():
            if launch is None:
                results = torch.ops.neurodyn.coupled.default(*call, leaves, matrices)
            else:
                results = launch(tensors)
        visible = trace.n_outputs + (len(trace.states) if final else 0)
        ctx.call, ctx.count = call, count
        ctx.visible, ctx.unasked = visible, len(trace.grads) - visible
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*results[visible:])
        read, cut = list(leaves), len(results) - len(fed)
        for i, total in zip(fed, results[cut:], strict=True):
            read[i] = total
        ctx.save_for_backward(*read, *matrices, *results[visible:cut])
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        check_single(grads)
        backend, key, fed, onward, *_ = ctx.call
        saved, count = ctx.saved_tensors, ctx.count
        end = count + Links(fed, onward).matrices
        leaves, matrices, checkpoints = saved[:count], saved[count:end], saved[end:]
        given = [*grads[: ctx.visible], *[None] * ctx.unasked]
        needed = ctx.needs_input_grad[2:]
        # A matrix's gradient is made of the gradient of the input that it enters.
        wanted = tuple([w or i in fed for i, w in enumerate(needed[:count])])
        direct = plain((*saved, *grads)) and not torch.is_grad_enabled()
        run = _coupled_backward if direct else torch.ops.neurodyn.coupled_backward.default
        found = run(backend, key, fed, onward, wanted, leaves, given, checkpoints, matrices)
        pulled = iter(found)
        of_leaves = [next(pulled) if w else None for w in wanted]
        before, *after = (sequence.flatten(0, 1).t() for sequence in pulled)
        sources = [*((before, i) for i in fed), *((after[0], i) for i in onward[1:])]
        of_matrices = [
            sequence @ of_leaves[i].flatten(0, 1) if w else None
            for (sequence, i), w in zip(sources, needed[count:], strict=True)
        ]
        return None, None, *of_leaves, *of_matrices


def _differentiable(*arguments: Any) -> Tensors:
    *call, leaves, matrices = arguments
    return list(_Coupled.apply(tuple(call), None, *leaves, *matrices))  # type: ignore[no-untyped-call]


def _differentiable_backward(*arguments: Any) -> Tensors:
    tensors = [t for group in arguments[5:] for t in group if t is not None]
    operator = torch.ops.neurodyn.coupled_backward.default
    return list(Once.apply(operator, arguments, *tensors))  # type: ignore[no-untyped-call]


torch.library.impl("neurodyn::coupled", "CPU")(_coupled)
torch.library.impl("neurodyn::coupled_backward", "CPU")(_coupled_backward)
torch.library.impl("neurodyn::coupled", "Autograd")(_differentiable)
torch.library.impl("neurodyn::coupled_backward", "Autograd")(_differentiable_backward)
