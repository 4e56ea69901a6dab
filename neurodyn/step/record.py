"""What writes down a step's operations as they run, and refuses those that no kernel has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from neurodyn.step.aten import Aten
from neurodyn.step.graph import Builder, Kind, Node, UnsupportedStepError
from neurodyn.step.torch_private import DispatchMode

# What changes nothing about a scalar.
IDENTITIES = frozenset(
    {"alias", "detach", "clone", "view", "_unsafe_view", "reshape", "_reshape_alias", "expand"}
    | {"lift_fresh", "lift_fresh_copy", "contiguous", "positive", "squeeze", "unsqueeze"}
    | {"real"}
)
FILLED = {"zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0, "zero": 0.0}
# Whose lines are not the user's.
OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
SHAPES = frozenset({"shape", "ndim", "size", "stride", "numel", "nelement", "dim", "ndimension"})
NUMBERS = frozenset({"numpy", "__array__", "tolist", "__dlpack__", "data_ptr"})
PYTHON_NEEDS_VALUE = frozenset({"_local_scalar_dense", "is_nonzero", "item", "equal"})


class Recorder(DispatchMode):
    """Writes down what PyTorch computes, scalar by scalar."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # The wrapper that this asks for would import the compiler stack.

    def __init__(self, builder: Builder, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.builder, self.dtype = builder, dtype
        self.rules = Aten(builder).rules
        self.in_derivative = False
        self._nodes: dict[int, Node] = {}
        self._alive: list[Tensor] = []

    def name(self, leaf: Tensor, name: str) -> Node:
        """Take a tensor for an argument of the graph; kernels get masks as numbers, 0 or 1."""
        node = self.builder.leaf(name)
        self._remember(leaf, self.builder.cast(node, self._kind(leaf)))
        return node

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
        # Of several results, the first is the function; the others are for its derivative.
        made = out[0] if isinstance(out, tuple) and out else out
        if isinstance(made, Tensor):
            if made.ndim:
                raise self._refusal(name, f"makes a tensor of shape {tuple(made.shape)}")
            self._remember(made, self._node(name, made, args, kwargs))
        return out

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
            why = "uses a tensor that is no parameter or buffer of the cell; register it as one"
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
        where = " (in the derivative of the step)" if self.in_derivative else _user_line()
        return UnsupportedStepError(f"step: operation {name!r} {why}{where}")


class NoPeeking(TorchFunctionMode):
    """Refuses what looks at a shape or at numbers in a way that no dispatch shows: here they are a
    scalar's and stand-ins, and would stay so in the kernel."""

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
        if name in NUMBERS:
            raise UnsupportedStepError(
                f"step: {name!r} takes a tensor's numbers out of PyTorch, where nothing can follow "
                f"them{_user_line()}"
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
