"""From a step to its graph, and to the graph of its vector-Jacobian product.

The step runs once, on scalars, and every operation that PyTorch dispatches is recorded. Then
autograd runs backward, and its operations are recorded into the same graph. So the derivative uses
the step's own nodes.

Before that, the cell is copied with a scalar for every parameter and buffer, so that each is an
argument of the graph and no value is built in. A parameter that the step indexes is a short vector
instead (`indexing.py`). (`torch.fx`'s tracer would do as well, but it imports the compiler stack,
which takes seconds.)
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.step.graph import Builder, Node, UnsupportedStepError
from neurodyn.step.indexing import Indexed, Indexing, Vectors
from neurodyn.step.lines import OWN
from neurodyn.step.lowered import definitions
from neurodyn.step.peeking import NoPeeking
from neurodyn.step.record import Recorder
from neurodyn.step.relaxed import with_reciprocals
from neurodyn.step.torch_private import call_without_hooks, without_modes

Source = tuple[int, int | None]


@dataclass(frozen=True)
class Trace:
    """A step and its derivative as one graph.

    The cotangent leaves are `grads`: one for every output and every new state. `vjp` holds, for
    every input, state and parameter in order, the gradient as a node (None: it is zero).
    `definitions` has the nodes that a target may lack, as graphs of simpler ones. `sources` says of
    each parameter which of the cell's tensors it is, and which element of one that is indexed.
    """

    builder: Builder
    inputs: tuple[Node, ...]
    states: tuple[Node, ...]
    parameters: tuple[Node, ...]
    grads: tuple[Node, ...]
    results: tuple[Node, ...]
    vjp: tuple[Node | None, ...]
    definitions: Mapping[Node, Node]
    sources: tuple[Source, ...]
    vectors: Vectors

    @property
    def n_outputs(self) -> int:
        return len(self.results) - len(self.states)


def trace(
    cell: nn.Module, tensors: Mapping[str, Tensor], n_inputs: int, n_states: int, dtype: torch.dtype
) -> Trace:
    """Trace `cell.step` and its vector-Jacobian product.

    Args:
        cell: the module with the step.
        tensors: its parameters and buffers by name, which become arguments in this order.
        n_inputs, n_states: how many arguments of the step are inputs and states.
        dtype: of the arithmetic.

    Raises:
        UnsupportedStepError: the step does something that a kernel cannot; says what, and where.
    """
    chosen: frozenset[int] = frozenset()
    while True:
        indexing = Indexing(tuple(tensors), tuple(tensors.values()), chosen)
        try:
            return _traced(cell, indexing, n_inputs, n_states, dtype)
        except Indexed as indexed:
            chosen |= indexed.found


def _traced(
    cell: nn.Module, indexing: Indexing, n_inputs: int, n_states: int, dtype: torch.dtype
) -> Trace:
    tensors, lengths = indexing.tensors, indexing.vectors.lengths
    sources: list[Source] = []
    for i in range(len(tensors)):
        sources += [(i, e) for e in range(lengths[i])] if i in lengths else [(i, None)]
    own = [source_name(indexing.names, source) for source in sources]
    names = _leaf_names(cell, own, n_inputs, n_states)
    builder = Builder()
    recorder = Recorder(builder, dtype, indexing)
    with _usual_modes():
        arguments = [torch.full((), 0.5, dtype=dtype) for _ in range(n_inputs + n_states)]
        stand_ins = [_stand_in(t, lengths.get(i), dtype) for i, t in enumerate(tensors)]
        leaves = [*arguments, *stand_ins]
        for leaf in leaves:
            leaf.requires_grad_(leaf.is_floating_point())
        twin = _twin(cell, dict(zip(map(id, tensors), stand_ins, strict=True)))
        _leave_out_hooks(cell, twin)
        rest = iter(names)
        nodes = [recorder.name(leaf, [next(rest) for _ in range(leaf.numel())]) for leaf in leaves]
        for place, made in enumerate(nodes[n_inputs + n_states :]):
            indexing.place |= dict.fromkeys(made, place)
        try:
            with recorder, NoPeeking(recorder):
                outputs = twin.step(*arguments)  # type: ignore[operator]
        except (RuntimeError, TypeError, IndexError, AttributeError) as error:
            if isinstance(error, UnsupportedStepError):
                raise
            raise UnsupportedStepError(
                f"step: does not run on scalars ({error}){_failing_line(error)}"
            ) from error
        if not isinstance(outputs, tuple) or len(outputs) <= n_states:
            raise UnsupportedStepError(
                f"step: expected a tuple of outputs and {n_states} new states, got "
                f"{type(outputs).__name__}"
            )
        results = tuple(recorder.result(value) for value in outputs)
        grads, vjp = _pull_back(recorder, leaves, outputs, n_states)
    parameters = [node for made in nodes[n_inputs + n_states :] for node in made]
    vjp = with_reciprocals(builder, results, vjp, parameters)
    computed = [*results, *(g for g in vjp if g is not None)]
    flat = tuple(node for made in nodes for node in made)
    return Trace(
        builder,
        flat[:n_inputs],
        flat[n_inputs : n_inputs + n_states],
        flat[n_inputs + n_states :],
        grads,
        results,
        vjp,
        definitions(builder, computed, dtype == torch.float64),
        tuple(sources),
        indexing.vectors,
    )


def source_name(names: Sequence[str], source: Source) -> str:
    """What a parameter is called in the cell; `c.0` is an element of `c`."""
    place, element = source
    return names[place] if element is None else f"{names[place]}.{element}"


def _stand_in(tensor: Tensor, length: int | None, dtype: torch.dtype) -> Tensor:
    shape = () if length is None else (length,)
    if tensor.dtype == torch.bool:
        return torch.full(shape, True)
    return torch.full(shape, 0.5, dtype=dtype)


@contextlib.contextmanager
def _usual_modes() -> Iterator[None]:
    """Run the step as in a plain loop, whatever mode the caller is in."""
    with contextlib.ExitStack() as stack:
        if (listeners := without_modes()) is not None:
            stack.enter_context(listeners)
        if torch.is_anomaly_enabled():
            stack.enter_context(torch.autograd.set_detect_anomaly(False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        stack.enter_context(torch.device("cpu"))
        yield


def _pull_back(
    recorder: Recorder, leaves: list[Tensor], outputs: tuple[Tensor, ...], n_states: int
) -> tuple[tuple[Node, ...], tuple[Node | None, ...]]:
    n_outputs = len(outputs) - n_states
    cotangents, grads = [], []
    for i, value in enumerate(outputs):
        name = f"grad_out{i}" if i < n_outputs else f"grad_state{i - n_outputs}"
        cotangents.append(torch.full((), 0.5, dtype=value.dtype))
        grads += recorder.name(cotangents[-1], [name])
    smooth = [(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not smooth:
        return tuple(grads), tuple(None for leaf in leaves for _ in range(leaf.numel()))
    root = _Root.apply([g for _, g in smooth], *(y for y, _ in smooth))  # type: ignore[no-untyped-call]
    recorder.in_derivative = True
    real = [leaf for leaf in leaves if leaf.requires_grad]
    with recorder:
        found = iter(torch.autograd.grad(root, real, allow_unused=True))
    vjp: list[Node | None] = []
    for leaf in leaves:
        pulled = next(found) if leaf.requires_grad else None
        vjp += [None] * leaf.numel() if pulled is None else recorder.results(pulled)
    zero = recorder.builder.const(0.0, "real")
    return tuple(grads), tuple(None if node is zero else node for node in vjp)


class _Root(torch.autograd.Function):
    """Hands the given gradients to the outputs. (`torch.autograd.grad` takes gradients too, but
    imports the compiler stack for it.)"""

    @staticmethod
    def forward(ctx: Any, grads: list[Tensor], *outputs: Tensor) -> Tensor:
        ctx.grads = grads
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        return None, *ctx.grads


def _failing_line(error: BaseException) -> str:
    """The line of the step that raised."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OWN)
    ]
    return f", at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _twin(cell: nn.Module, stand_ins: dict[int, Tensor]) -> nn.Module:
    """A copy of the cell with its stand-ins for parameters and buffers."""
    memo: dict[int, Any] = dict(stand_ins)
    for tensor in (*cell.parameters(), *cell.buffers()):
        if id(tensor) not in memo:  # integers, such as counters
            memo[id(tensor)] = torch.zeros((), dtype=tensor.dtype)
        if tensor.is_leaf and tensor.grad is not None:
            memo.setdefault(id(tensor.grad), None)
    for module in cell.modules():  # Hooks may hold things that cannot be copied.
        hooks = (v for k, v in vars(module).items() if "hooks" in k and isinstance(v, dict))
        memo |= {id(held): {} for held in hooks}
    try:
        return copy.deepcopy(cell, memo)
    except Exception as error:
        raise UnsupportedStepError(
            f"step: {type(cell).__name__} cannot be copied: {error}"
        ) from error


def has_hooks(module: nn.Module) -> bool:
    """Whether anyone watches this module's calls."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _leave_out_hooks(cell: nn.Module, twin: nn.Module) -> None:
    """Run no hooks in a trace: they would see a number where a sequence is expected, once.

    A step that calls a module with hooks of its own is refused, as kernels call no modules. Hooks
    that watch all modules see the cell alone.
    """
    for (name, module), copied in zip(cell.named_modules(), twin.modules(), strict=True):
        call_without_hooks(copied, _refusal_of(name) if has_hooks(module) else copied.forward)


def _refusal_of(name: str) -> Callable[..., Any]:
    def refuse(*arguments: Any, **named: Any) -> Any:
        raise UnsupportedStepError(
            f"step: calls {name!r}, which has hooks, and a kernel would not call them"
        )

    return refuse


def _leaf_names(cell: nn.Module, tensors: Iterable[str], n_inputs: int, n_states: int) -> list[str]:
    """Names for inputs, states and parameters, such as `i0_x`, `s0_u`, `p0_tau`.

    The letter and number are the leaf's alone. So whatever a kernel calls its own, or makes of
    these names, no two are equal, and the user's part is free.
    """
    own = _step_names(cell, n_inputs + n_states) or ["x"] * n_inputs + ["u"] * n_states
    roles = zip("isp", (own[:n_inputs], own[n_inputs:], tensors), strict=True)
    return [
        re.sub(r"\W", "_", f"{role}{i}_{name}")
        for role, names in roles
        for i, name in enumerate(names)
    ]


def _step_names(cell: nn.Module, count: int) -> list[str] | None:
    """What the step calls its inputs and states, if it names each of them."""
    try:
        given = list(inspect.signature(cell.step).parameters.values())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if len(given) != count or any(p.kind == p.VAR_POSITIONAL for p in given):
        return None
    return [p.name for p in given]
