"""From a step to its graph, and to the graph of its vector-Jacobian product.

The step runs once, on scalars, while every operation that PyTorch dispatches is written down; then
autograd runs backward and its operations are written down too. Both end in one graph, so what the
derivative needs of the step is the step's own nodes.

Before that, the cell is copied with every parameter and buffer replaced by a scalar, so each is an
argument of the graph and nothing is baked in. (`torch.fx`'s tracer would do as well, but starting
it imports the compiler stack, which takes seconds.)
"""

from __future__ import annotations

import copy
import inspect
import keyword
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from neurodyn.scan.graph import Builder, Kind, Node, UnsupportedStepError
from neurodyn.scan.lower import Lowering

# What changes nothing about a scalar.
IDENTITIES = frozenset(
    {"alias", "detach", "clone", "view", "_unsafe_view", "reshape", "_reshape_alias", "expand"}
    | {"lift_fresh", "lift_fresh_copy", "contiguous", "positive", "squeeze", "unsqueeze"}
    | {"t", "permute", "real"}
)
FILLED = {"zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0, "zero": 0.0}
# Whose lines are not the user's.
OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
# Names in the emitted source that a user's argument must not take.
RESERVED = re.compile(
    r"r\d+|[aijknoqt_]|LENGTH|KEEP|FINAL|DENSE|BLOCK|tl|np|real|int64|row|write|publish|add|where|exact|fast|kernel|task|column|group|piece"
    r"|begin|end|first|last|back|mark|mask|wide|elements|steps|outer|period|inner|pieces|width"
    r"|groups|length|passing|whole|segment|range|min|(out|final|grad|sum|d)(\d+|_.*)"
    r"|.*_(p|t|o|k\d+|run|size|final|row|at|next|now|kept|marks|grad)"
    r"|[a-z]+64|abs\w*|sqrt|floor|ceil|trunc|nearest|m[ai][nx]imum|prepare|step|replay|pull"
    r"|exp|expm1|power|sign|log|log1p|sigmoid|tanh|sin|cos|erf|forward|backward"
)
SHAPES = frozenset({"shape", "ndim", "size", "stride", "numel", "nelement", "dim", "ndimension"})
PYTHON_NEEDS_VALUE = frozenset({"_local_scalar_dense", "is_nonzero", "item", "equal"})


@dataclass(frozen=True)
class Trace:
    """A step and its derivative as one graph.

    The cotangent leaves are `grads`: one for every output and every new state. `vjp` holds, for
    every input, state and parameter in order, the gradient as a node (None: it is zero).
    """

    builder: Builder
    inputs: tuple[Node, ...]
    states: tuple[Node, ...]
    parameters: tuple[Node, ...]
    grads: tuple[Node, ...]
    results: tuple[Node, ...]
    vjp: tuple[Node | None, ...]

    @property
    def n_outputs(self) -> int:
        return len(self.results) - len(self.states)


def trace(
    cell: nn.Module, tensors: Sequence[Tensor], n_inputs: int, n_states: int, dtype: torch.dtype
) -> Trace:
    """Trace `cell.step` and its vector-Jacobian product.

    Args:
        cell: the module with the step.
        tensors: its parameters and buffers, which become arguments in this order.
        n_inputs, n_states: how many arguments of the step are inputs and states.
        dtype: of the arithmetic.

    Raises:
        UnsupportedStepError: the step does something that a kernel cannot; says what, and where.
    """
    known = {id(tensor): name for name, tensor in (*cell.named_buffers(), *cell.named_parameters())}
    names = _argument_names(cell, n_inputs, n_states)
    names = _distinct([*names, *(_identifier(known[id(tensor)]) for tensor in tensors)])

    def scalar() -> Tensor:
        with torch.inference_mode(False):
            return torch.full((), 0.5, dtype=dtype, requires_grad=True)

    leaves = [scalar() for _ in names]
    twin = _twin(cell, dict(zip(map(id, tensors), leaves[n_inputs + n_states :], strict=True)))
    builder = Builder()
    recorder = _Recorder(builder, dtype)
    nodes = tuple(recorder.name(leaf, name) for leaf, name in zip(leaves, names, strict=True))

    # The step runs as it would in a user's loop, whatever mode the caller is in.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        try:
            with recorder, _NoShapes():
                outputs = twin.step(*leaves[: n_inputs + n_states])  # type: ignore[operator]
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
    return Trace(
        builder,
        nodes[:n_inputs],
        nodes[n_inputs : n_inputs + n_states],
        nodes[n_inputs + n_states :],
        grads,
        results,
        vjp,
    )


def _pull_back(
    recorder: _Recorder, leaves: list[Tensor], outputs: tuple[Tensor, ...], n_states: int
) -> tuple[tuple[Node, ...], tuple[Node | None, ...]]:
    n_outputs = len(outputs) - n_states
    cotangents, grads = [], []
    for i, value in enumerate(outputs):
        name = f"grad_out{i}" if i < n_outputs else f"grad_state{i - n_outputs}"
        cotangents.append(torch.full((), 0.5, dtype=value.dtype))
        grads.append(recorder.name(cotangents[-1], name))
    smooth = [(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not smooth:
        return tuple(grads), tuple(None for _ in leaves)
    recorder.in_derivative = True
    with recorder:
        pulled = torch.autograd.grad(
            [y for y, _ in smooth], leaves, [g for _, g in smooth], allow_unused=True
        )
    vjp = tuple(None if g is None else recorder.result(g) for g in pulled)
    zero = recorder.builder.const(0.0, "real")
    return tuple(grads), tuple(None if node is zero else node for node in vjp)


class _Recorder(TorchDispatchMode):
    """Writes down what PyTorch computes, scalar by scalar."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # The wrapper that this asks for would import the compiler stack.

    def __init__(self, builder: Builder, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.builder, self.dtype = builder, dtype
        self.rules = Lowering(builder).rules
        self.in_derivative = False
        self._nodes: dict[int, Node] = {}
        self._alive: list[Tensor] = []

    def name(self, leaf: Tensor, name: str) -> Node:
        return self._remember(leaf, self.builder.leaf(name))

    def result(self, value: Any) -> Node:
        """The node of a tensor that the step returned."""
        if not isinstance(value, Tensor):
            raise UnsupportedStepError(
                f"step: expected tensors in what it returns, got {type(value).__name__}"
            )
        node = self._nodes.get(id(value)) or self._constant(value)
        if node.kind != "real":
            raise UnsupportedStepError(
                f"step: expected {self.dtype} in what it returns, got {value.dtype}"
            )
        return node

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        packet = func._schema.name.removeprefix("aten::")
        name = packet.removesuffix("_")
        if packet.endswith("_") and not self.in_derivative and packet not in IDENTITIES:
            raise self._refusal(packet, "changes a tensor in place; a step has to be pure")
        if name in PYTHON_NEEDS_VALUE:
            raise self._refusal(
                name, "Python needs the value of a tensor here (an `if`, `float()` or `.item()`)"
            )
        out = func(*args, **kwargs)
        if isinstance(out, Tensor):
            if out.ndim:
                raise self._refusal(name, f"makes a tensor of shape {tuple(out.shape)}")
            self._remember(out, self._node(name, out, args, kwargs))
        return out

    def _node(self, name: str, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        if name in FILLED:
            return self.builder.const(FILLED[name], self._kind(out))
        if name in ("full_like", "new_full", "fill"):
            value = args[-1] if name != "full_like" else args[1]
            return self._as_node(value, out)
        if not any(isinstance(arg, Tensor) for arg in args):
            if name.startswith(("rand", "normal", "empty", "bernoulli")):
                raise self._refusal(name, "has no fixed value")
            return self._constant(out)
        if name in IDENTITIES and id(args[0]) not in self._nodes and name.startswith("lift"):
            return self._constant(out)
        first = self._lookup(args[0], name) if isinstance(args[0], Tensor) else None
        if name in IDENTITIES or (name == "sum" and self.in_derivative):
            assert first is not None
            return first
        if name in ("_to_copy", "to", "copy"):
            source = args[1] if name == "copy" else args[0]
            self._check_cast(out.dtype)
            return self.builder.cast(self._lookup(source, name), self._kind(out))
        rule = self.rules.get(name)
        if rule is None:
            raise self._refusal(name, "is not an elementwise operation that kernels know")
        given = [self._lookup(a, name) if isinstance(a, Tensor) else a for a in args]
        named = {
            k: self._lookup(v, name) if isinstance(v, Tensor) else v for k, v in kwargs.items()
        }
        try:
            node = rule(*given, **named)
        except (NotImplementedError, TypeError, KeyError) as error:
            raise self._refusal(
                name, f"is used in a form that kernels do not know ({error})"
            ) from None
        return self.builder.cast(node, self._kind(out))

    def _as_node(self, value: Any, out: Tensor) -> Node:
        if isinstance(value, Tensor):
            return self.builder.cast(self._lookup(value, "fill"), self._kind(out))
        return self.builder.const(value, self._kind(out))

    def _lookup(self, tensor: Tensor, name: str) -> Node:
        node = self._nodes.get(id(tensor))
        if node is None:
            if self.in_derivative:
                return self._remember(tensor, self._constant(tensor))
            raise self._refusal(
                name, "uses a tensor that is no parameter or buffer of the cell; register it as one"
            )
        return node

    def _remember(self, tensor: Tensor, node: Node) -> Node:
        self._nodes[id(tensor)] = node
        self._alive.append(tensor)
        return node

    def _constant(self, tensor: Tensor) -> Node:
        with torch.utils._python_dispatch._disable_current_modes():
            return self.builder.const(tensor.detach().item(), self._kind(tensor))

    def _kind(self, tensor: Tensor) -> Kind:
        if tensor.is_complex():
            raise self._refusal("complex", "complex numbers are not supported")
        return (
            "bool"
            if tensor.dtype == torch.bool
            else "real"
            if tensor.is_floating_point()
            else "int"
        )

    def _check_cast(self, dtype: torch.dtype) -> None:
        if dtype.is_floating_point and dtype != self.dtype:
            raise self._refusal("to", f"casts to {dtype} where the state is {self.dtype}")

    def _refusal(self, name: str, why: str) -> UnsupportedStepError:
        where = " (in the derivative of the step)" if self.in_derivative else _user_line()
        return UnsupportedStepError(f"step: operation {name!r} {why}{where}")


class _NoShapes(TorchFunctionMode):
    """Refuses what reads a shape: here it is a scalar's, and would stay one in the kernel."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # A property comes as the `__get__` of its descriptor.
        name = getattr(getattr(func, "__self__", None), "__name__", func.__name__)
        reader = sys._getframe(1).f_code.co_filename
        if name in SHAPES and not reader.startswith(OWN):
            raise UnsupportedStepError(
                f"step: {name!r} reads a tensor's shape, but a kernel computes single "
                f"numbers{_user_line()}"
            )
        return func(*args, **(kwargs or {}))


def _user_line() -> str:
    """The innermost line outside PyTorch and this package's tracer."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back
    if frame is None:
        return ""
    return f", at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _failing_line(error: BaseException) -> str:
    """The line of the step that raised."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OWN)
    ]
    return f", at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _twin(cell: nn.Module, scalars: dict[int, Tensor]) -> nn.Module:
    """A copy of the cell with scalars for its parameters and buffers."""
    memo: dict[int, Any] = dict(scalars)
    for tensor in (*cell.parameters(), *cell.buffers()):
        if id(tensor) not in memo:  # integers and booleans, such as counters
            memo[id(tensor)] = torch.zeros((), dtype=tensor.dtype)
        memo.setdefault(id(tensor.grad), None) if tensor.grad is not None else None
    try:
        return copy.deepcopy(cell, memo)
    except Exception as error:
        raise UnsupportedStepError(
            f"step: {type(cell).__name__} cannot be copied: {error}"
        ) from error


def _argument_names(cell: nn.Module, n_inputs: int, n_states: int) -> list[str]:
    """What the step calls its inputs and states."""
    plain = [f"x{i}" for i in range(n_inputs)] + [f"u{i}" for i in range(n_states)]
    try:
        given = list(inspect.signature(cell.step).parameters.values())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return plain
    if len(given) != len(plain) or any(p.kind == p.VAR_POSITIONAL for p in given):
        return plain
    return [_identifier(p.name) for p in given]


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _distinct(names: list[str]) -> list[str]:
    """The names, changed where two are equal or where kernels use the name themselves."""
    result: list[str] = []
    for name in names:
        while name in result or keyword.iskeyword(name) or RESERVED.fullmatch(name):
            name += "_"
        result.append(name)
    return result
