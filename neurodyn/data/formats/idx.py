"""The idx format of MNIST and its relatives, plain or gzipped.

A file is two zero bytes, a code for the type of its numbers, the number of dimensions, each
dimension as a big-endian uint32, and then the numbers. All of it is checked: a file that was cut
short or overwritten must not become a training set.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import torch
from torch import Tensor

from neurodyn.data.formats.reading import RATIO, reading

TYPES = {
    0x08: "unsigned bytes",
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}

DIMENSIONS = 4
"""The most that images and labels have."""


def read_idx(path: str | Path) -> Tensor:
    """The unsigned bytes of an idx file as a tensor.

    Args:
        path: the file; gzip is recognised by its content, whatever its name.

    Raises:
        ValueError: the file is not an idx file, holds other numbers than unsigned bytes, or is
            shorter or longer than its header says.
    """
    path = Path(path)
    with reading(path, "an idx file of unsigned bytes"), path.open("rb") as file:
        size = path.stat().st_size
        if file.peek(2)[:2] != b"\x1f\x8b":
            return _parse(file, size)
        with gzip.GzipFile(fileobj=file) as unpacked:
            try:
                return _parse(cast(IO[bytes], unpacked), size * RATIO)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ValueError(
                    f"{path}: the gzip stream is broken, expected an intact file ({error})"
                ) from error


def _parse(file: IO[bytes], most: int) -> Tensor:
    """Read the file whose content has at most so many bytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise ValueError(
            f"found the first bytes {magic.hex(' ') or '(none)'}, expected an idx file: "
            f"00 00, a type code (08 for unsigned bytes) and the number of dimensions"
        )
    kind, dimensions = TYPES[magic[2]], magic[3]
    if kind != "unsigned bytes":
        raise ValueError(f"found {kind}, expected unsigned bytes")
    if dimensions > DIMENSIONS:
        raise ValueError(f"found {dimensions} dimensions, expected at most {DIMENSIONS}")
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise ValueError(
            f"the header ends after {4 + len(header)} bytes, expected {4 + 4 * dimensions} for "
            f"{dimensions} dimensions"
        )
    shape = struct.unpack(f">{dimensions}I", header)
    if 0 in shape:
        raise ValueError(f"found the shape {shape}, expected no empty dimension")
    expected = math.prod(shape)
    # One byte more, to notice a file that goes on. More than the file can hold is not asked for.
    content = bytearray(file.read(min(expected, most) + 1))
    found = len(content)
    if found != expected:
        raise ValueError(
            f"found {'more' if found > expected else f'{found:,}'} bytes after the header, "
            f"expected {expected:,} ({' x '.join(map(str, shape))})"
        )
    # A bytearray is writable, which torch wants of memory that it shares.
    return torch.frombuffer(content, dtype=torch.uint8).reshape(shape)
