"""What kernels without a step share: the function, its argument array, and its end."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir

from neurodyn.scan.cpu.llvm import WHOLE, Code, Value


class Plain(NamedTuple):
    """A function `(first task, last task, arguments)` that is being written.

    Attributes:
        code: its instructions.
        first, last: the range of tasks.
        at: the entries of the argument array, whole numbers, by name.
    """

    code: Code
    first: Value
    last: Value
    at: dict[str, Value]

    def real(self, name: str) -> Value:
        """An entry that holds a number with a point (`as_entry`)."""
        return self.code.cast(self.code.bitcast(self.at[name], "wide"), "real")

    def source(self, *, streaming: bool) -> str:
        """The module's text, once all is written; `streaming` if it stores past the cache."""
        builder = self.code.builder
        if streaming:
            builder.fence("seq_cst")  # Makes stores past the cache visible to other threads.
        builder.ret_void()
        return str(builder.module)


def begun(name: str, bits: int, entries: Sequence[str]) -> Plain:
    """A function of that name, for reals of 32 or 64 bits."""
    signature = ir.FunctionType(ir.VoidType(), [WHOLE] * 3)
    function = ir.Function(ir.Module(name), signature, name)
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), bits)
    first, last, arguments = (Value(code, a, "int") for a in function.args)
    at = {entry: code.load(arguments + 8 * i, "int") for i, entry in enumerate(entries)}
    return Plain(code, first, last, at)


def as_entry(value: float) -> int:
    """A number with a point, as an entry of the argument array."""
    (whole,) = struct.unpack("q", struct.pack("d", value))
    return int(whole)
