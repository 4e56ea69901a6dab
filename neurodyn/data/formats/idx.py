"""The idx format of MNIST and its relatives, plain or gzipped.

A file is two zero bytes, a code for the type of its numbers, the number of dimensions, each
dimension as a big-endian uint32, and then the numbers. Everything of it is checked: a file that was
cut short or overwritten must not become a training set.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

TYPES = {
    0x08: "unsigned bytes",
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
UNSIGNED_BYTES = 0x08
GZIP = b"\x1f\x8b"


def read_idx(path: str | Path) -> Tensor:
    """The unsigned bytes of an idx file as a tensor.

    Args:
        path: the file; gzip is recognised by its content, whatever the name says.

    Raises:
        ValueError: the file is no idx file, holds other numbers than unsigned bytes, or is shorter
            or longer than its header says.
    """
    path = Path(path)
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        if not packed:
            return _read(raw, path)
        try:
            with gzip.open(raw) as unpacked:
                return _read(unpacked, path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path}: the gzip stream is broken, expected an intact file ({error})"
            ) from error


def _read(file: BinaryIO | gzip.GzipFile, path: Path) -> Tensor:
    shape = _read_shape(file, path)
    expected = math.prod(shape)
    # One byte more than expected shows a file that goes on, without reading all of it.
    content = file.read(expected + 1)
    if len(content) != expected:
        found = "more" if len(content) > expected else f"{len(content):,}"
        size = " x ".join(map(str, shape))
        raise ValueError(
            f"{path}: found {found} bytes after the header, expected {expected:,} ({size})"
        )
    # A bytearray is writable, which torch wants of the memory that it shares.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(shape)


def _read_shape(file: BinaryIO | gzip.GzipFile, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise ValueError(
            f"{path}: found the first bytes {magic.hex(' ') or '(none)'}, expected an idx file: "
            f"00 00, a type code (08 for unsigned bytes) and the number of dimensions"
        )
    if magic[2] != UNSIGNED_BYTES:
        raise ValueError(f"{path}: found {TYPES[magic[2]]}, expected {TYPES[UNSIGNED_BYTES]}")
    dimensions = file.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise ValueError(
            f"{path}: the header ends after {4 + len(dimensions)} bytes, "
            f"expected {4 + 4 * magic[3]} for {magic[3]} dimensions"
        )
    shape = struct.unpack(f">{magic[3]}I", dimensions)
    if 0 in shape:
        raise ValueError(f"{path}: found the shape {shape}, expected no empty dimension")
    return shape
