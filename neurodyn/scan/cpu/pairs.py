"""Kernels of 2x2 pooling: sums of squares of four, and each number four times.

    halve     y[i, j] = scale (x[2i, 2j] + x[2i+1, 2j] + x[2i, 2j+1] + x[2i+1, 2j+1])
    double    y[2i, 2j] = y[2i+1, 2j] = y[2i, 2j+1] = y[2i+1, 2j+1] = scale x[i, j]

Maps are contiguous and of even size, so all their rows are one list: a row of the small map belongs
to two rows of the large one.
"""

from __future__ import annotations

from array import array
from functools import cache
from typing import Literal

from llvmlite import ir
from torch import Tensor

from neurodyn.scan import memory
from neurodyn.scan.cpu import STREAMING, build, threads
from neurodyn.scan.cpu.llvm import WORD, Value
from neurodyn.scan.cpu.plain import as_entry, begun
from neurodyn.scan.layout import ordered_strides

ROWS = 64
"""Rows of the small map in a task."""
NAMES = ("small", "large", "rows", "width", "scale")
"""The entries of the argument array; the width is that of the small map."""
Kind = Literal["halve", "double"]


def halved(x: Tensor, scale: float) -> Tensor:
    """The sums of the squares of maps `(..., 2 H, 2 W)`."""
    small = _like(x, x.shape[-2] // 2, x.shape[-1] // 2)
    _run("halve", small, x, scale)
    return small


def doubled(x: Tensor, scale: float) -> Tensor:
    """Maps `(..., 2 H, 2 W)` that repeat each number of `(..., H, W)`."""
    large = _like(x, x.shape[-2] * 2, x.shape[-1] * 2)
    _run("double", x, large, scale)
    return large


def _like(x: Tensor, height: int, width: int) -> Tensor:
    shape = (*x.shape[:-2], height, width)
    strides = ordered_strides(shape, tuple(range(len(shape))))
    return memory.allocator(shape, strides, x.dtype, x.device)()


def _run(kind: Kind, small: Tensor, large: Tensor, scale: float) -> None:
    width = small.shape[-1]
    rows, out = small.numel() // width, small if kind == "halve" else large
    given = array("q", (small.data_ptr(), large.data_ptr(), rows, width, as_entry(scale)))
    # Vectors of 128 bytes on the large side.
    lines = width * small.element_size() % 64 == 0 and out.data_ptr() % 128 == 0
    streaming = lines and out.nbytes >= STREAMING
    kernel = _kernel(kind, 8 * small.element_size(), streaming)
    threads.run(kernel, -(-rows // ROWS), given.buffer_info()[0], large.numel())


@cache
def _kernel(kind: Kind, bits: int, streaming: bool) -> build.Kernel:
    name = f"pairs_{kind}_{bits}{'_streaming' if streaming else ''}"
    return build.kernel(name, kind, lambda: _source(kind, bits, streaming))


def _source(kind: Kind, bits: int, streaming: bool) -> str:
    kernel = begun(kind, bits, NAMES)
    code, at = kernel.code, kernel.at
    size, width = bits // 8, at["width"]
    scale = kernel.real("scale")

    def picked(value: Value, places: list[int]) -> Value:
        mask = ir.Constant(ir.VectorType(WORD, len(places)), places)
        return Value(code, code.builder.shuffle_vector(value.ir, value.ir, mask), "real")

    def halve(small: Value, upper: Value, lower: Value, lanes: int) -> None:
        if lanes == 1:
            left, right = (
                code.load(upper + i * size) + code.load(lower + i * size) for i in (0, 1)
            )
        else:
            both = code.load(upper, "real", 2 * lanes) + code.load(lower, "real", 2 * lanes)
            left, right = (picked(both, list(range(i, 2 * lanes, 2))) for i in (0, 1))
        code.store((left + right) * scale, small, streaming=streaming and lanes == most)

    def double(small: Value, upper: Value, lower: Value, lanes: int) -> None:
        value = code.load(small, "real", lanes) * scale
        if lanes > 1:
            value = picked(value, [i // 2 for i in range(2 * lanes)])
        for row in (upper, lower):
            for i in range(2 if lanes == 1 else 1):
                code.store(value, row + i * size, streaming=streaming and lanes == most)

    most = 512 // bits
    with code.range("task", kernel.first, kernel.last) as task:
        begin, end = task * ROWS, (task + 1) * ROWS
        with code.range("row", begin, code.where(end < at["rows"], end, at["rows"])) as row:
            small, upper = at["small"] + row * width * size, at["large"] + row * width * (4 * size)
            start = code.integer(0)
            for lanes in (most, 4, 1):
                stop = width // lanes * lanes
                with code.range("j", start, stop, lanes) as j:
                    places = small + j * size, upper + j * (2 * size)
                    body = halve if kind == "halve" else double
                    body(*places, places[1] + width * (2 * size), lanes)
                start = stop
    return kernel.source(streaming=streaming)
