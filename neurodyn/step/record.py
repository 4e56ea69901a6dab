"""Writes down a step's operations as they run, and refuses those that kernels do not know."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurodyn.step.aten import Aten
from neurodyn.step.graph import Builder, Kind, Node, UnsupportedStepError, reachable
from neurodyn.step.indexing import Indexing
from neurodyn.step.lines import user_line
from neurodyn.step.torch_private import DispatchMode

# Operations that leave a scalar as it is.
RESHAPES = frozenset(
    {"view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "squeeze", "unsqueeze"}
)
IDENTITIES = RESHAPES | frozenset(
    {"alias", "detach", "clone", "lift_fresh", "lift_fresh_copy", "contiguous", "positive", "real"}
)
FILLED = {"zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0, "zero": 0.0}
PYTHON_NEEDS_VALUE = frozenset({"_local_scalar_dense", "is_nonzero", "item", "equal"})


class Recorder(DispatchMode):
    """Writes down PyTorch's operations on scalars, and on vectors element by element."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # The wrapper that this asks for would import the compiler stack.

    def __init__(self, builder: Builder, dtype: torch.dtype, indexing: Indexing) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.builder, self.dtype, self.indexing = builder, dtype, indexing
        self.rules = Aten(builder).rules
        self.in_derivative = False
        self._nodes: dict[int, Node] = {}
        self._parts: dict[int, list[Tensor]] = {}
        """The elements of vectors, each a number with a node of its own."""
        self._alive: list[Tensor] = []

    def name(self, leaf: Tensor, names: Sequence[str]) -> list[Node]:
        """Make a tensor an argument of the graph, or each element of a vector one.

        Kernels get masks as numbers, 0 or 1.
        """
        nodes = [self.builder.leaf(name) for name in names]
        parts = [part.clone() for part in leaf.detach()] if leaf.ndim else [leaf]
        if leaf.ndim:
            self._keep(leaf, parts)
        for part, node in zip(parts, nodes, strict=True):
            self._remember(part, self.builder.cast(node, self._kind(leaf)))
        return nodes

    def results(self, value: Tensor) -> list[Node]:
        """The node of a number, or the nodes of a vector."""
        return [self.result(part) for part in self._parts.get(id(value), [value])]

    def leaves(self, value: Tensor) -> set[Node]:
        """The arguments of the graph that a tensor depends on."""
        parts = self._parts.get(id(value), [value])
        nodes = [self._nodes[id(part)] for part in parts if id(part) in self._nodes]
        return {node for node in reachable(nodes) if node.op == "leaf"}

    def result(self, value: Any) -> Node:
        """The node of a tensor that the step returned."""
        if not isinstance(value, Tensor):
            raise UnsupportedStepError(
                f"step: expected tensors in what it returns, got {type(value).__name__}"
            )
        if value.ndim:
            raise UnsupportedStepError("step: returns a whole vector; index it first, as in `c[0]`")
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
        # The first of several results is the function's value; the others serve its derivative.
        made = out[0] if isinstance(out, tuple) and out else out
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        vectors = [tensor for tensor in given if tensor.ndim]
        if name in ("unbind", "select") and vectors:
            parts = self._parts[id(vectors[0])]
            taken = zip(out, parts, strict=True) if name == "unbind" else [(out, parts[args[2]])]
            for tensor, part in taken:
                self._remember(tensor, self._nodes[id(part)])
        elif isinstance(made, Tensor) and (vectors or made.ndim):
            self._check_vectors(name, made, given)
            self._vector(name, made, args, kwargs)
        elif isinstance(made, Tensor):
            self._remember(made, self._node(name, made, args, kwargs))
        return out

    def _check_vectors(self, name: str, made: Tensor, given: Sequence[Tensor]) -> None:
        """In a step, vectors go through elementwise functions alone; autograd does as it likes."""
        if self.in_derivative:
            return
        if made.ndim != 1 or not any(tensor.ndim for tensor in given):
            raise self._refusal(name, f"makes a tensor of shape {tuple(made.shape)}")
        if name in RESHAPES:
            raise self._refusal(name, "changes the shape of a vector; index it first")
        self.indexing.combine(set().union(*map(self.leaves, given)), name)

    def _vector(
        self, name: str, made: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Write down an operation that makes a vector, or the sum of one."""
        if name == "sum" and not made.ndim:
            self._remember(made, functools.reduce(self.rules["add"], self.results(args[0])))
            return
        # Operations in place have `made` among their arguments, so they are read first.
        parts = [part.clone() for part in made.detach()]
        nodes = [self._element(name, part, i, args, kwargs) for i, part in enumerate(parts)]
        self._keep(made, parts)
        for part, node in zip(parts, nodes, strict=True):
            self._remember(part, node)

    def _element(
        self, name: str, part: Tensor, i: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Node:
        """The node of the `i`-th element that an operation on vectors makes."""
        zero = self.builder.const(0.0, "real")
        if name == "stack":
            return self._nodes[id(args[0][i])]
        if name == "select_backward":
            grad, (length,), _, at = args
            return self._nodes[id(grad)] if i == at % length else zero
        given = tuple(self._part(arg, i) for arg in args)
        if name in ("mul", "div") and self.in_derivative:
            factors = given[:1] if name == "div" else given
            if any(self._nodes.get(id(factor)) is zero for factor in factors):
                return zero  # The gradient of an element that the step does not use.
        named = {key: self._part(value, i) for key, value in kwargs.items()}
        return self._node(name, part, given, named)

    def _keep(self, vector: Tensor, parts: list[Tensor]) -> None:
        self._alive.append(vector)
        self._parts[id(vector)] = parts

    def _part(self, value: Any, i: int) -> Any:
        """An element of a vector; anything else as it is."""
        if not isinstance(value, Tensor) or not value.ndim:
            return value
        known = id(value) in self._parts
        return self._parts[id(value)][i] if known else value[i]  # A constant of a derivative.

    def _node(self, name: str, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        if name in FILLED:
            return self.builder.const(FILLED[name], self._kind(out))
        if name == "empty_like" and self.in_derivative:  # PyTorch's own, filled before it is read.
            return self.builder.const(0.0, self._kind(out))
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
            why = "uses a tensor that is not a parameter or buffer of the cell; register it as one"
            if not (tensor.is_floating_point() or tensor.dtype == torch.bool):
                why = f"uses a tensor of {tensor.dtype}; a kernel's arguments are real or masks"
            raise self._refusal(name, why)
        return node

    def _remember(self, tensor: Tensor, node: Node) -> Node:
        self._nodes[id(tensor)] = node
        self._alive.append(tensor)
        return node

    def _constant(self, tensor: Tensor) -> Node:
        return self.builder.const(tensor.detach().item(), self._kind(tensor))

    def _kind(self, tensor: Tensor) -> Kind:
        if tensor.is_complex():
            raise self._refusal("complex", "complex numbers are not supported")
        if tensor.is_floating_point():
            return "real"
        if tensor.dtype in (torch.int32, torch.int64):
            return "int"
        if tensor.dtype != torch.bool:
            raise self._refusal("to", f"makes {tensor.dtype}, which would not wrap in a kernel")
        return "bool"

    def _check_cast(self, dtype: torch.dtype) -> None:
        if dtype.is_floating_point and dtype != self.dtype:
            raise self._refusal("to", f"casts to {dtype} where the state is {self.dtype}")

    def _refusal(self, name: str, why: str) -> UnsupportedStepError:
        where = " (in the derivative of the step)" if self.in_derivative else user_line()
        return UnsupportedStepError(f"step: operation {name!r} {why}{where}")
