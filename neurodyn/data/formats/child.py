"""Native decoders in a child process: their crashes, hangs and hunger end there."""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

PATIENCE = 20.0
"""Seconds that a decoder may take for the next array, and one more per MB of the file."""

MEMORY = 2**30
"""Bytes that a decoder may take, and 256 more per byte of the file: EVT3 packs twelve events of 16
bytes into two, and they are copied once."""

_idle: dict[int, list[_Child]] = {}
"""Children without work, by the process that started them: a fork must not share them."""


def decoded(decoder: str, path: Path, extra: str, **options: Any) -> Iterator[np.ndarray[Any, Any]]:
    """The arrays that a decoder makes of a file.

    Args:
        decoder: its name in `decoders`.
        path: the file.
        extra: the extra of neurodyn that installs the decoder's library.
        options: further arguments of the decoder.

    Raises:
        ValueError: the decoder raised an error, died, took too long or too much memory.
        ImportError: its library is missing.
    """
    size = path.stat().st_size
    arguments = {"path": str(path), **options}
    request = {"decoder": decoder, "arguments": arguments, "memory": MEMORY + 256 * size}
    idle = _idle.setdefault(os.getpid(), [])
    while idle and idle[-1].process.poll() is not None:
        idle.pop().end()
    child = idle.pop() if idle else _Child()
    complete = False
    try:
        child.ask(request)
        while True:
            tag, content = child.answer(PATIENCE + size / 1e6)
            if tag == b"a":
                yield np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
                continue
            complete = True
            if tag == b".":
                return
            kind, text = json.loads(content)
            if kind in ("ImportError", "ModuleNotFoundError"):
                raise ImportError(f"{text}. Install it with: pip install 'neurodyn[{extra}]'")
            raise ValueError(text if kind == "ValueError" else f"{kind}: {text}".rstrip(": "))
    finally:
        if complete:
            idle.append(child)
        else:
            child.end()


def end_all() -> None:
    """End the children of this process that have no work."""
    for child in _idle.pop(os.getpid(), []):
        child.end()


atexit.register(end_all)


class _Child:
    """A process that runs `decoders`."""

    def __init__(self) -> None:
        program = str(Path(__file__).with_name("decoders.py"))
        self.process = subprocess.Popen(
            # Without -P its folder would come first on the path, where files have other names.
            [sys.executable, "-P", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, seconds: float) -> tuple[bytes, bytes]:
        """The next message, a tag and its content."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            header = self._read(9)
            content = self._read(struct.unpack("<Q", header[1:])[0])
        except EOFError:
            reason = f"took longer than {seconds:.0f} s" if late.is_set() else self._cause()
            raise ValueError(f"the decoder {reason}") from None
        finally:
            timer.cancel()
        return header[:1], content

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        content = self.process.stdout.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def _cause(self) -> str:
        code = self.process.wait()
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
