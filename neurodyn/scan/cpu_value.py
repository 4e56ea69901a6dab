"""Numbers and vectors of LLVM: arithmetic on them appends the instructions of a CPU kernel.

Operators and comparisons work on both alike, and repeat a single number for all lanes where they
meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir

if TYPE_CHECKING:
    from neurodyn.scan.cpu_code import Code

REALS = ("real", "wide")
MNEMONICS = {"//": "sdiv", "%": "srem", "<<": "shl", ">>": "ashr", "&": "and_", "|": "or_"}


class Value:
    """One number, or one for each lane.

    `kind` is "real" (the kernel's floating type), "wide" (float64), "int", "word" (32 bits) or
    "bool".
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: Code, value: Any, kind: str) -> None:
        self.code, self.ir, self.kind = code, value, kind

    @property
    def lanes(self) -> int:
        return self.ir.type.count if isinstance(self.ir.type, ir.VectorType) else 1

    def _binary(self, name: str, other: Any, *, swapped: bool = False) -> Value:
        a, b = self.code.alike(self, other)
        if swapped:
            a, b = b, a
        build, hint = self.code.builder, self.code.hint
        if a.kind in REALS:
            method = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}[name]
            made = getattr(build, method)(a.ir, b.ir, hint, flags=self.code.flags)
        else:
            method = MNEMONICS.get(name) or {"+": "add", "-": "sub", "*": "mul"}[name]
            made = getattr(build, method)(a.ir, b.ir, hint)
        return Value(self.code, made, a.kind)

    def _compare(self, name: str, other: Any) -> Value:
        a, b = self.code.alike(self, other)
        build = self.code.builder
        if a.kind == "bool":
            made = build.icmp_unsigned(name, a.ir, b.ir, self.code.hint)
        elif a.kind not in REALS:
            made = build.icmp_signed(name, a.ir, b.ir, self.code.hint)
        else:  # NaN differs from everything, and no other comparison holds for it.
            compare = build.fcmp_unordered if name == "!=" else build.fcmp_ordered
            made = compare(name, a.ir, b.ir, self.code.hint)
        return Value(self.code, made, "bool")

    def __add__(self, other: Any) -> Value:
        return self._binary("+", other)

    def __radd__(self, other: Any) -> Value:
        return self._binary("+", other, swapped=True)

    def __sub__(self, other: Any) -> Value:
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> Value:
        return self._binary("-", other, swapped=True)

    def __mul__(self, other: Any) -> Value:
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> Value:
        return self._binary("*", other, swapped=True)

    def __truediv__(self, other: Any) -> Value:
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._binary("/", other, swapped=True)

    def __floordiv__(self, other: Any) -> Value:
        return self._binary("//", other)

    def __mod__(self, other: Any) -> Value:
        return self._binary("%", other)

    def __lshift__(self, other: Any) -> Value:
        return self._binary("<<", other)

    def __rshift__(self, other: Any) -> Value:
        return self._binary(">>", other)

    def __and__(self, other: Any) -> Value:
        return self._binary("&", other)

    def __or__(self, other: Any) -> Value:
        return self._binary("|", other)

    def __neg__(self) -> Value:
        if self.kind in REALS:
            return Value(self.code, self.code.builder.fneg(self.ir, self.code.hint), self.kind)
        return 0 - self

    def __invert__(self) -> Value:
        return Value(self.code, self.code.builder.not_(self.ir, self.code.hint), self.kind)

    def __lt__(self, other: Any) -> Value:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Value:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Value:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Value:
        return self._compare(">=", other)

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: Any) -> Value:  # type: ignore[override]
        return self._compare("!=", other)
