"""How CPU kernels reach memory: rows of it by their address, and stores that pass by the cache."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, types
from numba.extending import intrinsic

from neurodyn.scan.cpu_math import exact

VECTOR = 32
"""Bytes of a store past the cache; its address has to be a multiple of that."""


def _pointer_to(real: types.Type) -> Any:
    @intrinsic
    def pointer(context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(real)(types.int64), generate

    return pointer


def _passing(real: types.Type) -> Any:
    """Stores a vector of `values` from `j` on, to an address, without reading its line before."""

    @intrinsic
    def store(context: Any, address: Any, values: Any, j: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            number = context.get_value_type(real)
            vector = ir.VectorType(number, VECTOR // (real.bitwidth // 8)).as_pointer()
            data = context.make_array(signature.args[1])(context, builder, args[1]).data
            source = builder.bitcast(builder.gep(data, [args[2]]), vector)
            value = builder.load(source, align=real.bitwidth // 8)
            target = builder.store(value, builder.inttoptr(args[0], vector), align=VECTOR)
            one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
            target.set_metadata("nontemporal", one)
            return context.get_dummy_value()

        return types.void(types.int64, values, types.int64), generate

    return store


_pointer32, _pointer64 = _pointer_to(types.float32), _pointer_to(types.float64)
_store32, _store64 = _passing(types.float32), _passing(types.float64)


@intrinsic
def publish(context: Any) -> Any:
    """Stores past the cache may be late; after this, other threads see them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@exact
def row32(address: Any, start: Any, n: Any) -> Any:
    """`n` float32 numbers from the `start`-th on."""
    return carray(_pointer32(address + 4 * start), (n,))


@exact
def row64(address: Any, start: Any, n: Any) -> Any:
    """`n` float64 numbers from the `start`-th on."""
    return carray(_pointer64(address + 8 * start), (n,))


@exact
def write32(address: Any, start: Any, values: Any, n: Any, passing: Any) -> Any:
    """Write a row of float32 numbers, past the cache or through it."""
    whole = n // 8 * 8 if passing else 0
    for j in range(0, whole, 8):
        _store32(address + 4 * (start + j), values, j)
    target = row32(address, start, n)
    for j in range(whole, n):
        target[j] = values[j]


@exact
def write64(address: Any, start: Any, values: Any, n: Any, passing: Any) -> Any:
    """Write a row of float64 numbers, past the cache or through it."""
    whole = n // 4 * 4 if passing else 0
    for j in range(0, whole, 4):
        _store64(address + 8 * (start + j), values, j)
    target = row64(address, start, n)
    for j in range(whole, n):
        target[j] = values[j]


sum64 = row64
"""Sums over tasks are kept in float64."""
