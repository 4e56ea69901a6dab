"""Streaming: run any model on a sequence that is still arriving."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from neurodyn.neurons import Stateful
from neurodyn.step.torch_private import BatchNorm


class Stream:
    """Runs a model on a sequence in chunks. Each call goes on where the last one ended:

        stream = Stream(model.eval())
        for chunk in microphone:        # (T, B, ...), any T from 1
            outputs = stream(chunk)     # as one call on the whole sequence gives them

    The stream keeps the states of all `Stateful` modules of the model, and leaves nothing on the
    model: several streams can share one. States are detached from one chunk to the next, so memory
    does not grow with the stream.

    Args:
        model: any module that maps sequences to sequences, or to scores. Only its `Stateful`
            modules may mix timesteps.

    Raises:
        ValueError: batch normalisation would take its statistics from the chunk, or the batch size
            is not the stream's.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.reset()

    def reset(self) -> None:
        """Start a new sequence."""
        self._states: list[Any] = []
        self._batch: int | None = None

    def __call__(self, chunk: Tensor) -> Any:
        """The model's outputs for the next steps `(T, B, ...)`."""
        for name, module in self.model.named_modules():
            if isinstance(module, BatchNorm) and (module.training or module.running_mean is None):
                raise ValueError(
                    f"model: expected model.eval(), as {name!r} takes its statistics from the batch"
                )
        if self._batch not in (None, chunk.shape[1]):
            raise ValueError(
                f"chunk: expected a batch of {self._batch}, as the stream began with, got "
                f"{chunk.shape[1]}; reset() starts a new sequence"
            )
        run = _Run(self._states)
        hooks = []
        for module in self.model.modules():
            if isinstance(module, Stateful):
                hooks.append(module.register_forward_pre_hook(run.enter, with_kwargs=True))
                # Before other hooks, so that they see the output without the state.
                hooks.append(module.register_forward_hook(run.leave, prepend=True))
        try:
            out = self.model(chunk)
        finally:
            for hook in hooks:
                hook.remove()
        # Only now: a call that failed leaves the stream where it was.
        self._states, self._batch = run.after, chunk.shape[1]
        return out


class _Run:
    """One pass through the model: the n-th call of a stateful module goes on where the n-th call of
    the last pass ended. A module whose caller handles its state is left alone."""

    def __init__(self, before: list[Any]) -> None:
        self.before = before
        self.after: list[Any] = []
        self.open: list[int | None] = []

    def enter(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        if len(args) > 1 or kwargs.keys() & {"state", "return_state"}:
            self.open.append(None)
            return None
        number = len(self.after)
        self.open.append(number)
        self.after.append(None)
        state = self.before[number] if self.before else None
        return args, {**kwargs, "state": state, "return_state": True}

    def leave(self, module: nn.Module, args: Any, output: Any) -> Any:
        number = self.open.pop()
        if number is None:
            return output
        out, state = output
        self.after[number] = _detached(state)
        return out


def _detached(state: Any) -> Any:
    if isinstance(state, tuple):
        return tuple(map(_detached, state))
    return state.detach() if isinstance(state, Tensor) else state
