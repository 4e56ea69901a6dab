"""Matrices between the neurons of a layer: what goes through them into the inputs of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from neurodyn.step.graph import reachable
from neurodyn.step.trace import Trace

Feedback = Sequence[Tensor | None]
"""For each input the matrix through which the first state comes back, or None."""
Onward = tuple[int, int, Tensor]
"""The place of a new state, that of an input of the same step, and the matrix between them."""


class Links(NamedTuple):
    """Where matrices link states and inputs, in a hashable form.

    Attributes:
        fed: the places of the inputs into which the first state comes back.
        onward: the places of a new state and of the input into which it goes, or nothing.
    """

    fed: tuple[int, ...] = ()
    onward: tuple[int, ...] = ()

    @property
    def matrices(self) -> int:
        """How many there are."""
        return len(self.fed) + bool(self.onward)


NO_LINKS = Links()


class Linked(NamedTuple):
    """The matrices of a scan, as they were given.

    Attributes:
        feedback, onward: as for `scan`.
    """

    feedback: Feedback = ()
    onward: Onward | None = None

    @property
    def links(self) -> Links:
        """Where they are."""
        fed = tuple([i for i, V in enumerate(self.feedback) if V is not None])
        return Links(fed, () if self.onward is None else self.onward[:2])

    @property
    def matrices(self) -> list[Tensor]:
        """Those of `links.fed`, and that of `links.onward`."""
        own = [V for V in self.feedback if V is not None]
        return own if self.onward is None else [*own, self.onward[2]]

    def to(self, dtype: torch.dtype) -> Linked:
        """The same with matrices of a dtype."""
        return self._each(lambda matrix: matrix.to(dtype))

    def apart(self) -> Linked:
        """The same with matrices that share no memory."""
        return self._each(torch.clone)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Linked:
        onward = self.onward
        return Linked(
            [None if V is None else change(V) for V in self.feedback],
            None if onward is None else (*onward[:2], change(onward[2])),
        )

    def check(self, inputs: Sequence[Tensor], n_states: int) -> None:
        """An error unless the matrices fit."""
        x, n = inputs[0], len(inputs)
        if len(self.feedback) != n:
            raise ValueError(
                f"feedback: expected a matrix or None for each of {n} inputs, got "
                f"{len(self.feedback)}"
            )
        if x.ndim != 3:
            raise ValueError(f"inputs: with feedback expected (T, B, F), got {tuple(x.shape)}")
        if n_states == 0:
            raise ValueError("feedback: expected a state that comes back, got no states")
        named = [(f"feedback[{i}]", V) for i, V in enumerate(self.feedback) if V is not None]
        if self.onward is not None:
            state, into, W = self.onward
            if not 0 <= state < n_states or into not in self.links.fed:
                raise ValueError(
                    f"onward: expected a state and an input that has feedback, got {state}, {into}"
                )
            named.append(("onward", W))
        for name, matrix in named:
            if not isinstance(matrix, Tensor):
                raise TypeError(f"{name}: expected a matrix, got {type(matrix).__name__}")
            if matrix.shape != (x.shape[2],) * 2:
                expected = (x.shape[2],) * 2
                raise ValueError(f"{name}: expected {expected}, got {tuple(matrix.shape)}")
            if matrix.device != x.device:
                raise ValueError(f"{name}: expected on {x.device}, got {matrix.device}")

    def arguments(
        self, step: Callable[..., tuple[Tensor, ...]], given: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """The inputs and states of a step, after what comes through the matrices is added."""
        cut = len(self.feedback)
        inputs, states = given[:cut], given[cut:]
        pairs = zip(inputs, self.feedback, strict=True)
        total = [x if V is None else torch.addmm(x, states[0], V) for x, V in pairs]
        if self.onward is not None:
            state, into, W = self.onward
            after = step(*total, *states)[-len(states) :]
            total[into] = torch.addmm(total[into], after[state].expand_as(states[0]), W)
        return (*total, *states)


ALONE = Linked()


def misfit(onward: Sequence[int], trace: Trace) -> str | None:
    """Why a step's graph does not allow its state to go onward, or None."""
    if onward:
        state, into = onward
        if trace.inputs[into] in reachable((trace.results[trace.n_outputs + state],)):
            return f"the state that goes onward into input {into} depends on that input"
    return None
