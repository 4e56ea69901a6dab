"""Kernels of a filter over time with weights for every element: a delay line.

    filter    y[t] = sum_k taps[k] rows[t + K - 1 - k]
    weights   taps_grad[k] = sum_t grad[t] rows[t + K - 1 - k]

An element is one number of a step. Several steps are computed at once, so that each row is read
once for all of them, and a column of elements is narrow enough for its rows to stay in the cache.
"""

from __future__ import annotations

from array import array
from functools import cache
from typing import Literal, NamedTuple

import torch
from llvmlite import ir
from torch import Tensor

from neurodyn.scan import memory
from neurodyn.scan.cpu import build, threads
from neurodyn.scan.cpu.llvm import WHOLE, Code, Value

COLUMN, STEPS = 256, 8
"""Elements of a column, and steps that are computed at once."""
NAMES = (
    *("head", "head_stride", "tail", "tail_stride", "switch", "steps", "elements", "column"),
    *("taps", "taps_stride", "other", "other_stride"),
)
"""The entries of the argument array."""


class Rows(NamedTuple):
    """Rows of elements: the first `switch` in one tensor, and the others in a second one. A tensor
    of one row stands for any number of equal rows."""

    head: Tensor
    tail: Tensor
    switch: int


def filtered(rows: Rows, taps: Tensor, steps: int) -> Tensor:
    """`y` of shape `(steps, *taps.shape[1:])`, for `taps` of shape `(K, *step)`, lag 0 first."""
    shape = (steps, *taps.shape[1:])
    out = memory.allocator(shape, taps.stride(), taps.dtype, taps.device)()
    _run("filter", rows, taps, out)
    return out


def weights(rows: Rows, grad: Tensor, order: int) -> Tensor:
    """`taps_grad` of shape `(order, *step)`."""
    sums = grad.new_zeros(order, *grad.shape[1:])
    _run("weights", rows, sums, grad)
    return sums


def _run(kind: Literal["filter", "weights"], rows: Rows, taps: Tensor, other: Tensor) -> None:
    elements, steps = other[0].numel(), len(other)
    head, tail = ((t.data_ptr(), t.stride(0) if len(t) > 1 else 0) for t in rows[:2])
    given = array("q", (*head, *tail, rows.switch, steps, elements, COLUMN))
    given.extend((taps.data_ptr(), taps.stride(0), other.data_ptr(), other.stride(0)))
    kernel = _kernel(kind, len(taps), 64 if other.dtype == torch.float64 else 32)
    threads.run(kernel, -(-elements // COLUMN), given.buffer_info()[0], steps * elements)


@cache
def _kernel(kind: str, order: int, bits: int) -> build.Kernel:
    name = f"lags_{kind}_{order}_{bits}"
    return build.kernel(name, kind, lambda: _source(kind, order, bits))


def _source(kind: str, order: int, bits: int) -> str:
    module = ir.Module(kind)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WHOLE] * 3), kind)
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), bits)
    first, last, arguments = (Value(code, a, "int") for a in function.args)
    at = {name: code.load(arguments + 8 * i, "int") for i, name in enumerate(NAMES)}
    size, most = bits // 8, 512 // bits

    def row(name: str, i: Value | int, j: Value) -> Value:
        return at[name] + (at[f"{name}_stride"] * i + j) * size

    def place(i: Value, j: Value) -> Value:
        head, tail = row("head", i, j), row("tail", i - at["switch"], j)
        return code.where(i < at["switch"], head, tail)

    def several(t: Value, j: Value, steps: int, lanes: int) -> None:
        """Some steps of some elements."""
        lines = [code.load(place(t + i, j), "real", lanes) for i in range(order - 1 + steps)]
        others = [row("other", t + i, j) for i in range(steps)]
        if kind == "filter":
            sums = [code.constant(0.0, "real", lanes) for _ in others]
        else:
            sums = [code.load(address, "real", lanes) for address in others]
        for k in range(order):
            tap = row("taps", k, j)
            value = code.load(tap, "real", lanes)
            for i in range(steps):
                line = lines[i + order - 1 - k]
                if kind == "filter":
                    sums[i] = sums[i] + value * line
                else:
                    value = value + sums[i] * line
            if kind == "weights":
                code.store(value, tap)
        if kind == "filter":
            for value, address in zip(sums, others, strict=True):
                code.store(value, address)

    with code.exactly(False), code.range("column", first, last) as column:
        begin = column * at["column"]
        end = begin + at["column"]
        end = code.where(end < at["elements"], end, at["elements"])
        whole = begin + (end - begin) // most * most
        long = at["steps"] // STEPS * STEPS
        for start, stop, steps in ((code.integer(0), long, STEPS), (long, at["steps"], 1)):
            with code.range("t", start, stop, steps) as t:
                for low, high, lanes in ((begin, whole, most), (whole, end, 1)):
                    with code.range("j", low, high, lanes) as j:
                        several(t, j, steps, lanes)
    code.builder.ret_void()
    return str(module)
