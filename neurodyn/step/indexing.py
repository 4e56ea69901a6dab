"""Parameters that a step indexes: `self.c[0]`, `a, b = self.c`, `torch.exp(self.raw).unbind()`.

A parameter of shape `(k, ...)` that is indexed on its first dimension becomes k arguments of the
graph. Whether it is indexed shows only when the step runs. So single numbers stand in for all
parameters first. When one of them is indexed, `Indexed` is raised, and the step runs again with
vectors of k numbers for these parameters.

Before they are indexed, vectors may go through elementwise functions, with numbers and with other
parameters of fitting shapes. They may not meet inputs or states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from neurodyn.step.graph import Node, UnsupportedStepError
from neurodyn.step.lines import user_line

INDEXING = frozenset({"__getitem__", "unbind", "select", "__len__", "__iter__"})
OTHERWISE = frozenset({"split", "chunk", "narrow", "index_select", "tensor_split", "gather"})
"""Ways to take elements that kernels do not know."""
INSTEAD = "write `self.c[0]`, `a, b = self.c` or `self.c.unbind(0)`, with whole numbers as indices"


class Indexed(Exception):  # noqa: N818  # It asks for another run, and is not an error.
    """The step indexes these parameters, which stood in as single numbers."""

    def __init__(self, found: frozenset[int]) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True)
class Vectors:
    """The parameters that a traced step indexes; all by their place among the cell's tensors.

    Attributes:
        lengths: how many elements each had when it was traced.
        groups: parameters that meet each other before the result is indexed.
    """

    lengths: Mapping[int, int]
    groups: frozenset[frozenset[int]]

    def misfit(self, names: Sequence[str], tensors: Sequence[Tensor]) -> str | None:
        """Why the step cannot be run with these tensors, or None."""
        for i, length in self.lengths.items():
            shape = tuple(tensors[i].shape)
            if shape[:1] != (length,):
                return (
                    f"{names[i]}: expected {length} elements as when the step was traced, got "
                    f"shape {shape}; cells whose lengths differ keep the length as an attribute "
                    "(`self.k = ...`)"
                )
        for group in self.groups:
            for i in group & self.lengths.keys():
                for j in group - {i}:
                    if not self._fit(tensors[i], tensors[j], j in self.lengths):
                        return (
                            f"{names[i]} of shape {tuple(tensors[i].shape)} and {names[j]} of "
                            f"shape {tuple(tensors[j].shape)} meet before they are indexed, and "
                            f"their first dimensions do not match; index {names[i]} first"
                        )
        return None

    @staticmethod
    def _fit(vector: Tensor, other: Tensor, is_vector: bool) -> bool:
        """Whether each element of the vector meets the same of the other, or all of it."""
        if is_vector:
            return vector.ndim == other.ndim and len(vector) == len(other)
        return other.ndim < vector.ndim or (other.ndim == vector.ndim and len(other) == 1)


class Indexing:
    """Watches what a step does with its parameters' elements while it is traced.

    Args:
        names, tensors: the cell's tensors.
        chosen: the places of those that stand in as vectors.
    """

    def __init__(
        self, names: Sequence[str], tensors: Sequence[Tensor], chosen: frozenset[int]
    ) -> None:
        self.names, self.tensors, self.chosen = names, tensors, chosen
        self.place: dict[Node, int] = {}
        """The graph's leaves that are parameters."""
        self.groups: set[frozenset[int]] = set()

    @property
    def vectors(self) -> Vectors:
        lengths = {i: len(self.tensors[i]) for i in sorted(self.chosen)}
        return Vectors(lengths, frozenset(self.groups))

    def index(self, leaves: Iterable[Node], ndim: int, name: str, args: Sequence[Any]) -> None:
        """Called before a method of this name takes elements of a tensor of these leaves."""
        where, does = args[0] if args else 0, f"{name!r} takes elements of"
        if where is ...:  # All of it.
            return
        found = self._places(leaves, "'len' reads the length of" if name == "__len__" else does)
        whole = isinstance(where, int) and not isinstance(where, bool)
        if name in OTHERWISE or not whole or (name in ("unbind", "select") and where != 0):
            raise self._refusal(
                f"{does} {self._called(found)} in a way that kernels do not know; {INSTEAD}"
            )
        if ndim:
            return
        if not found:
            raise self._refusal(
                f"{does} a tensor that is not a real parameter or buffer of "
                "the cell; register it as one"
            )
        shapes = {i: tuple(self.tensors[i].shape) for i in found - self.chosen}
        deepest = max(map(len, shapes.values()), default=0)
        deep = {i for i, shape in shapes.items() if shape and len(shape) == deepest}
        new = frozenset(i for i in deep if shapes[i][0] > 1) or frozenset(deep)
        if not new:
            raise self._refusal(f"{does} a single number, made of {self._called(found)}")
        raise Indexed(new)

    def combine(self, leaves: Iterable[Node], name: str) -> None:
        """Called before an operation on whole vectors, with the leaves of all its arguments."""
        found = self._places(leaves, f"{name!r} combines a whole vector with")
        self.groups.add(found)
        if reason := self.vectors.misfit(self.names, self.tensors):
            raise self._refusal(reason)

    def _places(self, leaves: Iterable[Node], what: str) -> frozenset[int]:
        leaves = list(leaves)
        if all(leaf in self.place for leaf in leaves):
            return frozenset(self.place[leaf] for leaf in leaves)
        vectors = {self.place[leaf] for leaf in leaves if leaf in self.place} & self.chosen
        called = self._called(vectors) if vectors else ""
        advice = (
            f" ({called} is indexed in this step, so it is a vector: index it first, as in "
            f"`{called}[0] * u`)"
            if vectors
            else "; elements are taken of parameters"
        )
        raise self._refusal(f"{what} what depends on inputs or states{advice}")

    def _called(self, places: Iterable[int]) -> str:
        return ", ".join(self.names[i] for i in sorted(places))

    def _refusal(self, why: str) -> UnsupportedStepError:
        return UnsupportedStepError(f"step: {why}{user_line()}")
