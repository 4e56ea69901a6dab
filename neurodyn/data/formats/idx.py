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


def read_idx(path: str | Path) -> Tensor:
    """The unsigned bytes of an idx file as a tensor.

    Args:
        path: the file; gzip is recognised by its content, whatever its name.

    Raises:
        ValueError: the file is not an idx file, holds other numbers than unsigned bytes, or is
            shorter or longer than its header says.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path}: the gzip stream is broken, expected an intact file ({error})"
            ) from error
    try:
        return _parse(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _parse(content: bytes) -> Tensor:
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise ValueError(
            f"found the first bytes {magic.hex(' ') or '(none)'}, expected an idx file: "
            f"00 00, a type code (08 for unsigned bytes) and the number of dimensions"
        )
    kind, dimensions = TYPES[magic[2]], magic[3]
    if kind != "unsigned bytes":
        raise ValueError(f"found {kind}, expected unsigned bytes")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(
            f"the header ends after {len(content)} bytes, expected {start} for {dimensions} "
            "dimensions"
        )
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    if 0 in shape:
        raise ValueError(f"found the shape {shape}, expected no empty dimension")
    found, expected = len(content) - start, math.prod(shape)
    if found != expected:
        raise ValueError(
            f"found {'more' if found > expected else f'{found:,}'} bytes after the header, "
            f"expected {expected:,} ({' x '.join(map(str, shape))})"
        )
    # A bytearray is writable, which torch wants of memory that it shares.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)
