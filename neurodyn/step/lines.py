"""The line of the user's code that a message is about."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
"""Folders of code that is not the user's: PyTorch and this tracer."""


def user_line() -> str:
    """The innermost running line outside PyTorch and this tracer, for the end of a message."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back
    if frame is None:
        return ""
    return f", at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
