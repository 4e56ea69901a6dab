"""The kernel of dropout: what is dropped follows from keys, so no mask is kept.

    y[i] = 0 if hash(key, i) < p else x[i] / (1 - p)

A key serves a chunk of elements. The hash is Wellons's `lowbias32` of the place in the chunk, with
the first half of the key added before and the second half in between
(https://nullprogram.com/blog/2018/07/31/).
"""

from __future__ import annotations

from array import array
from functools import cache

import torch
from llvmlite import ir
from torch import Tensor

from neurodyn.scan import memory
from neurodyn.scan.cpu import STREAMING, build, threads
from neurodyn.scan.cpu.llvm import WORD, Value
from neurodyn.scan.cpu.plain import as_entry, begun

CHUNK = 1 << 14
"""Elements that share a key: a task."""
NAMES = ("x", "y", "keys", "elements", "limit", "scale")
"""The entries of the argument array."""


def keys(x: Tensor) -> Tensor:
    """Keys for the chunks of a tensor, from PyTorch's generator."""
    return torch.empty(-(-x.numel() // CHUNK), dtype=torch.int64).random_()


def dropped(x: Tensor, keys: Tensor, p: float) -> Tensor:
    """`y` for a contiguous float32 or float64 tensor, and 0 < p < 1."""
    shape = tuple(x.shape)
    out = memory.allocator(shape, x.stride(), x.dtype, x.device)()
    limit = min(round(p * 2**32), 2**32 - 1) - 2**31
    pointers = (t.data_ptr() for t in (x, out, keys))
    given = array("q", (*pointers, x.numel(), limit, as_entry(1 / (1 - p))))
    streaming = out.nbytes >= STREAMING and out.data_ptr() % 64 == 0
    kernel = _kernel(8 * x.element_size(), streaming)
    threads.run(kernel, len(keys), given.buffer_info()[0], x.numel())
    return out


@cache
def _kernel(bits: int, streaming: bool) -> build.Kernel:
    name = f"drop_{bits}{'_streaming' if streaming else ''}"
    return build.kernel(name, "drop", lambda: _source(bits, streaming))


def _source(bits: int, streaming: bool) -> str:
    kernel = begun("drop", bits, NAMES)
    code, at = kernel.code, kernel.at
    size, most = bits // 8, 512 // bits
    limit = code.cast(at["limit"], "word")
    scale = kernel.real("scale")

    def element(begin: Value, key: tuple[Value, Value], i: Value, lanes: int) -> None:
        offset = size * (begin + i)
        x = code.load(at["x"] + offset, "real", lanes)
        gone = _hash(key, i, lanes) < limit
        y = code.where(gone, code.constant(0.0, "real", lanes), x * scale)
        code.store(y, at["y"] + offset, streaming=streaming and lanes > 1)

    with code.range("chunk", kernel.first, kernel.last) as chunk:
        begin, pair = chunk * CHUNK, code.load(at["keys"] + chunk * 8, "int")
        key = code.cast(pair, "word"), code.cast(pair >> 32, "word")
        left = at["elements"] - begin
        count = code.where(left < CHUNK, left, CHUNK)
        whole = count // most * most
        for start, stop, lanes in ((code.integer(0), whole, most), (whole, count, 1)):
            with code.range("i", start, stop, lanes) as i:
                element(begin, key, i, lanes)
    return kernel.source(streaming=streaming)


def _hash(key: tuple[Value, Value], i: Value, lanes: int) -> Value:
    """A random word for each place in a chunk, from the `i`-th on."""
    code, build, (before, between) = i.code, i.code.builder, key

    def folded(h: Value, shift: int) -> Value:
        shifted = build.lshr(h.ir, code.constant(shift, "word", lanes).ir)
        return Value(code, build.xor(h.ir, shifted), "word")

    h = code.repeated(code.cast(i, "word") + before, lanes)
    if lanes > 1:
        steps = ir.Constant(ir.VectorType(WORD, lanes), list(range(lanes)))
        h = h + Value(code, steps, "word")
    h = folded(h, 16) * 0x7FEB352D + between
    return folded(folded(h, 15) * (0x846CA68B - 2**32), 16)
