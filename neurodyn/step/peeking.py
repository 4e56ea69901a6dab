"""Watches reads of tensors that PyTorch's dispatcher does not show to the recorder."""

from __future__ import annotations

import sys
from typing import Any

from torch.overrides import TorchFunctionMode

from neurodyn.step.graph import UnsupportedStepError
from neurodyn.step.indexing import INDEXING, OTHERWISE
from neurodyn.step.lines import OWN, user_line
from neurodyn.step.record import Recorder

SHAPES = frozenset({"shape", "ndim", "size", "stride", "numel", "nelement", "dim", "ndimension"})
NUMBERS = frozenset({"numpy", "__array__", "tolist", "__dlpack__", "data_ptr"})


class NoPeeking(TorchFunctionMode):
    """Refuses reads of shapes and numbers: those of stand-ins would stay in the kernel.

    It also checks how elements of vectors are taken.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # A property comes as the `__get__` of its descriptor.
        name = getattr(getattr(func, "__self__", None), "__name__", func.__name__)
        reader = sys._getframe(1).f_code
        inside = reader.co_filename.startswith(OWN)
        if name == "dim" and reader.co_name == "__iter__" and inside:
            name = "__iter__"  # PyTorch does not announce that itself.
        if name in INDEXING | OTHERWISE:
            given: list[Any] = [*args, *(kwargs or {}).values()]
            leaves = self.recorder.leaves(given[0])
            self.recorder.indexing.index(leaves, given[0].ndim, name, given[1:])
        if name in SHAPES and not inside:
            raise UnsupportedStepError(
                f"step: {name!r} reads a tensor's shape, but a kernel computes single "
                f"numbers{user_line()}"
            )
        if name in NUMBERS:
            raise UnsupportedStepError(
                f"step: {name!r} takes a tensor's numbers out of PyTorch, where nothing can follow "
                f"them{user_line()}"
            )
        return func(*args, **(kwargs or {}))
