"""The instructions of a CPU kernel: constants, arithmetic, functions, memory and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

FAST = ("contract", "reassoc", "arcp", "nsz")
"""What LLVM may do to arithmetic that is not exact; NaN and infinity have to come through."""
WHOLE, TRUTH, WORD = ir.IntType(64), ir.IntType(1), ir.IntType(32)
REALS = ("real", "wide")
Operator = Callable[["Value", Any], "Value"]


class Code:
    """Writes a kernel's instructions.

    Args:
        builder: of the kernel's function.
        bits: 32 or 64, the size of a real.
    """

    def __init__(self, builder: ir.IRBuilder, bits: int) -> None:
        self.builder, self.bits = builder, bits
        self.real = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.types = {"int": WHOLE, "word": WORD, "bool": TRUTH}
        self.types |= {"real": self.real, "wide": ir.DoubleType()}
        self.types |= {"half": ir.HalfType(), "brain": ir.IntType(16)}
        self.flags: tuple[str, ...] = ()
        self.hint = ""

    def type(self, kind: str, lanes: int = 1) -> Any:
        return self.types[kind] if lanes == 1 else ir.VectorType(self.types[kind], lanes)

    def constant(self, value: float, kind: str, lanes: int = 1) -> Value:
        number = ir.Constant(self.types[kind], value)
        if lanes > 1:
            number = _Text(self.type(kind, lanes), f"splat ({number})")
        return Value(self, number, kind)

    def integer(self, value: int) -> Value:
        return self.constant(value, "int")

    def alike(self, *values: Any) -> list[Value]:
        """Numbers as constants, and single numbers repeated if there are vectors among them."""
        kind = next(v.kind for v in values if isinstance(v, Value))
        lanes = max(v.lanes for v in values if isinstance(v, Value))
        return [
            self.repeated(v, lanes) if isinstance(v, Value) else self.constant(v, kind, lanes)
            for v in values
        ]

    def repeated(self, value: Value, lanes: int) -> Value:
        """A single number for all lanes."""
        if value.lanes == lanes:
            return value
        size = ir.VectorType(value.ir.type, lanes)
        nothing = _Text(size, "poison")
        first = self.builder.insert_element(nothing, value.ir, WORD(0))
        zeros = _Text(ir.VectorType(WORD, lanes), "zeroinitializer")
        made = self.builder.shuffle_vector(first, nothing, zeros, self.hint)
        return Value(self, made, value.kind)

    def joined(self, values: Sequence[Value]) -> Value:
        """Single numbers as the lanes of a vector; one alone stays as it is."""
        kind, lanes = values[0].kind, len(values)
        made: Any = values[0].ir if lanes == 1 else _Text(self.type(kind, lanes), "poison")
        for i, value in enumerate(values if lanes > 1 else ()):
            made = self.builder.insert_element(made, value.ir, WORD(i), self.hint)
        return Value(self, made, kind)

    def split(self, value: Value) -> list[Value]:
        """The lanes of a vector as single numbers."""
        if value.lanes == 1:
            return [value]
        each = [
            self.builder.extract_element(value.ir, WORD(i), self.hint) for i in range(value.lanes)
        ]
        return [Value(self, one, value.kind) for one in each]

    def where(self, condition: Value, a: Any, b: Any) -> Value:
        """`a if condition else b` without a branch."""
        a, b = self.alike(a, b)
        lanes = max(condition.lanes, a.lanes)
        condition, a, b = (self.repeated(v, lanes) for v in (condition, a, b))
        return Value(self, self.builder.select(condition.ir, a.ir, b.ir, self.hint), a.kind)

    def cast(self, value: Value, kind: str) -> Value:
        """A value as one of another kind; to "bool": whether it is not zero."""
        build, old, target = self.builder, value.ir, self.type(kind, value.lanes)
        if old.type == target:
            return Value(self, old, kind)
        if kind == "bool":
            return value != 0
        if value.kind == "bool" and kind in REALS:  # One instruction; a conversion takes four.
            return self.where(value, *(self.constant(x, kind) for x in (1.0, 0.0)))
        if value.kind == "bool":
            cast = build.zext
        elif value.kind in REALS:
            cast = {"wide": build.fpext, "real": build.fptrunc}.get(kind, build.fptosi)
        else:
            cast = {"int": build.sext, "word": build.trunc}.get(kind, build.sitofp)
        return Value(self, cast(old, target, self.hint), kind)

    def bitcast(self, value: Value, kind: str) -> Value:
        """The same bits as another kind."""
        made = self.builder.bitcast(value.ir, self.type(kind, value.lanes), self.hint)
        return Value(self, made, kind)

    def intrinsic(self, name: str, value: Value) -> Value:
        """One of LLVM's functions of one real, such as "sqrt"."""
        kind = value.ir.type
        function = self._declared(f"llvm.{name}.{_suffix(kind)}", kind, [kind])
        return Value(self, self.builder.call(function, [value.ir], self.hint), value.kind)

    def _declared(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        """A function that is defined elsewhere."""
        module = self.builder.module
        known = module.globals.get(name)
        return known or ir.Function(module, ir.FunctionType(result, arguments), name)

    def counted(self, name: str, value: Value) -> Value:
        """How many bits of a whole number are set ("ctpop"); how many below the lowest of them are
        not ("cttz")."""
        extra = [TRUTH] if name == "cttz" else []
        function = self._declared(f"llvm.{name}.i64", WHOLE, [WHOLE, *extra])
        call = self.builder.call(function, [value.ir, *(kind(1) for kind in extra)], self.hint)
        return Value(self, call, "int")

    def library(self, name: str, *values: Value) -> Value:
        """A function of the C library, lane by lane."""
        values = tuple(self.alike(*values))
        build = self.builder
        name += "f" if self.bits == 32 else ""
        function = self._declared(name, self.real, [self.real] * len(values))
        calls = [
            Value(self, build.call(function, [v.ir for v in given], self.hint), "real")
            for given in zip(*map(self.split, values), strict=True)
        ]
        return self.joined(calls)

    def total(self, value: Value) -> Value:
        """The sum over lanes, in float64."""
        wide = self.cast(value, "wide")
        if wide.lanes == 1:
            return wide
        kind = wide.ir.type
        name = f"llvm.vector.reduce.fadd.{_suffix(kind)}"
        function = self._declared(name, kind.element, [kind.element, kind])
        made = self.builder.call(function, [kind.element(0.0), wide.ir], fastmath=("reassoc",))
        return Value(self, made, "wide")

    def load(self, address: Value, kind: str = "real", lanes: int = 1) -> Value:
        """Adjacent numbers from an address on."""
        pointer, align, typ = self._pointer(address), self.size(kind), self.type(kind, lanes)
        made = self.builder.load(pointer, self.hint, align=align, typ=typ)
        return Value(self, made, kind)

    def store(self, value: Value, address: Value, *, streaming: bool = False) -> None:
        """Write adjacent numbers; `streaming` does not read their line into the cache before, and
        needs an address that is a multiple of the vector's size."""
        align = self.size(value.kind) * (value.lanes if streaming else 1)
        made = self.builder.store(value.ir, self._pointer(address), align=align)
        if streaming:
            made.set_metadata("nontemporal", self.builder.module.add_metadata([WORD(1)]))

    def prefetch(self, address: Value) -> None:
        """Bring a line of memory into the cache; an address that is not ours does no harm."""
        kinds = [ir.PointerType(), WORD, WORD, WORD]
        function = self._declared("llvm.prefetch.p0", ir.VoidType(), kinds)
        read, first_cache, data = WORD(0), WORD(3), WORD(1)
        self.builder.call(function, [self._pointer(address), read, first_cache, data])

    def _pointer(self, address: Value) -> Any:
        return self.builder.inttoptr(address.ir, ir.PointerType())

    def size(self, kind: str) -> int:
        """Bytes of a number in memory."""
        return {"half": 2, "brain": 2, "real": self.bits // 8}.get(kind, 8)

    @contextmanager
    def named(self, name: str) -> Iterator[None]:
        """Values made inside the context are called `name` in the printed kernel."""
        before, self.hint = self.hint, name
        yield
        self.hint = before

    @contextmanager
    def exactly(self, exact: bool) -> Iterator[None]:
        """Arithmetic inside the context rounds as written, or may be contracted and reordered."""
        before, self.flags = self.flags, () if exact else FAST
        yield
        self.flags = before

    @contextmanager
    def contracted(self) -> Iterator[None]:
        """A product inside the context may be added without rounding in between, in the order
        written."""
        before, self.flags = self.flags, ("contract",)
        yield
        self.flags = before

    @contextmanager
    def range(self, name: str, start: Value, stop: Value, step: int = 1) -> Iterator[Value]:
        """A loop over `range(start, stop, step)`, whose index is called `name`."""
        build, before = self.builder, self.builder.block
        names = (f"{part}_{name}" for part in ("over", "each", "after"))
        head, body, after = map(build.append_basic_block, names)
        build.branch(head)
        build.position_at_end(head)
        index = build.phi(WHOLE, name)
        index.add_incoming(start.ir, before)
        i = Value(self, index, "int")
        build.cbranch((i < stop if step > 0 else i > stop).ir, body, after)
        build.position_at_end(body)
        yield i
        index.add_incoming((i + step).ir, build.block)
        build.branch(head)
        build.position_at_end(after)

    def variable(self, kind: str, lanes: int = 1) -> Variable:
        """A variable of the function; optimisation puts it into a register."""
        with self.builder.goto_entry_block():
            return Variable(self, self.builder.alloca(self.type(kind, lanes)), kind, lanes)


def _arithmetic(whole: str = "", real: str = "") -> tuple[Operator, Operator]:
    """An operator and its mirror image, by the builder's methods for whole numbers and reals."""

    def operate(a: Value, b: Value) -> Value:
        options = {"name": a.code.hint} | ({"flags": a.code.flags} if a.kind in REALS else {})
        method = getattr(a.code.builder, real if a.kind in REALS else whole)
        return Value(a.code, method(a.ir, b.ir, **options), a.kind)

    def left(self: Value, other: Any) -> Value:
        return operate(*self.code.alike(self, other))

    def right(self: Value, other: Any) -> Value:
        return operate(*self.code.alike(other, self))

    return left, right


def _comparison(name: str) -> Operator:
    def compare(self: Value, other: Any) -> Value:
        a, b = self.code.alike(self, other)
        build = self.code.builder
        if a.kind in REALS:  # NaN differs from everything, and no other comparison holds for it.
            method = build.fcmp_unordered if name == "!=" else build.fcmp_ordered
        else:
            method = build.icmp_unsigned if a.kind == "bool" else build.icmp_signed
        return Value(self.code, method(name, a.ir, b.ir, self.code.hint), "bool")

    return compare


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

    def __neg__(self) -> Value:
        if self.kind in REALS:
            return Value(self.code, self.code.builder.fneg(self.ir, self.code.hint), self.kind)
        return 0 - self

    def __invert__(self) -> Value:
        return Value(self.code, self.code.builder.not_(self.ir, self.code.hint), self.kind)

    __add__, __radd__ = _arithmetic("add", "fadd")
    __sub__, __rsub__ = _arithmetic("sub", "fsub")
    __mul__, __rmul__ = _arithmetic("mul", "fmul")
    __truediv__, __rtruediv__ = _arithmetic(real="fdiv")
    __floordiv__ = _arithmetic("sdiv")[0]
    __mod__ = _arithmetic("srem")[0]
    __lshift__ = _arithmetic("shl")[0]
    __rshift__ = _arithmetic("ashr")[0]
    __and__ = _arithmetic("and_")[0]
    __or__ = _arithmetic("or_")[0]
    __lt__, __le__, __gt__, __ge__ = map(_comparison, ("<", "<=", ">", ">="))
    __eq__, __ne__ = map(_comparison, ("==", "!="))  # type: ignore[assignment]


class Variable:
    """A variable that keeps its value from one turn of a loop to the next."""

    def __init__(self, code: Code, place: Any, kind: str, lanes: int) -> None:
        self.code, self.place, self.kind, self.lanes = code, place, kind, lanes

    def get(self) -> Value:
        return Value(self.code, self.code.builder.load(self.place), self.kind)

    def set(self, value: Value | float) -> None:
        given = (
            value if isinstance(value, Value) else self.code.constant(value, self.kind, self.lanes)
        )
        self.code.builder.store(given.ir, self.place)

    def add(self, value: Value) -> None:
        self.set(self.get() + value)


def _suffix(kind: Any) -> str:
    """The end of an intrinsic function's name, for a type."""
    lanes, one = (f"v{kind.count}", kind.element) if isinstance(kind, ir.VectorType) else ("", kind)
    return f"{lanes}{one.intrinsic_name}"


class _Text(ir.Constant):  # type: ignore[misc]
    """A constant vector in short form; llvmlite would print every lane."""

    def __init__(self, kind: Any, text: str) -> None:
        super().__init__(kind, None)
        self.text = text

    def _to_string(self) -> str:
        return f"{self.type} {self.text}"

    def _get_reference(self) -> str:
        return self.text
