"""Pickled data without pickle's dangers: plain containers and arrays of bytes, nothing else.

A pickle is a program: it may call anything that it can import, and take any amount of memory. Here
only the instructions that the batches of CIFAR need are known, and followed one by one. Nothing is
imported or called, and no instruction makes more than a small multiple of its own bytes.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from neurodyn.data.formats.reading import reading

CONTAINERS = 1000
"""The most lists, dicts and tuples in a file; a batch of CIFAR has about ten."""

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}

TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}

BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}

OLD_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
"""Python 2's `str`, which holds bytes."""

NOTHING = {"PROTO", "FRAME"}

TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

ENCODE = "_codecs encode"
DTYPE = "numpy dtype"
ARRAY = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
NAMES = {ENCODE, DTYPE, "numpy ndarray", *ARRAY}
"""The names that a batch may ask for. They stay names."""


class _Mark:
    """Where the items of a container begin, on the stack."""


class _Name(str):
    """One of `NAMES`."""


class _Array:
    """An array whose content comes later, by BUILD."""

    value: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def fill(self, state: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Bytes):
            raise ValueError(f"found an array of {dtype!r}, expected unsigned bytes (u1)")
        content = np.frombuffer(data, np.uint8)
        self.value = content.reshape(shape, order="F" if fortran else "C")
        return self.value


class _Bytes:
    """The dtype of unsigned bytes."""


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of plain data: containers, numbers, text, and uint8 NumPy arrays.

    Reads protocols 0 to 4, and protocols 1 and 2 as Python 2 wrote them. Python 2's `str` becomes
    `bytes`, except as a dictionary's key.

    Raises:
        ValueError: the pickle asks for anything else (nothing of it is run), or it is truncated or
            corrupt.
    """
    with reading(path, "a complete pickle of plain data, this one is truncated or corrupt"):
        return _Reader(Path(path)).value()


class _Reader:
    """Follows a pickle's instructions, with a stack and a memo like Python's own."""

    def __init__(self, path: Path) -> None:
        self.path, self.content = path, path.read_bytes()
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.containers = 0
        self.encoded = 0

    def value(self) -> Any:
        for opcode, argument, _ in pickletools.genops(self.content):
            if opcode.name == "STOP":
                (value,) = self.stack
                return _plain(value)
            self.follow(opcode.name, argument)
        raise EOFError("found no end")

    def follow(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in INTEGERS or name in TEXTS or name in BYTES or name in ("FLOAT", "BINFLOAT"):
            stack.append(argument)
        elif name in OLD_TEXTS:
            stack.append(argument.encode("latin1"))
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name == "MARK":
            stack.append(_Mark)
        elif name in TUPLES:
            size = TUPLES[name]
            self.contain(tuple(self.pop() for _ in range(size))[::-1])
        elif name == "TUPLE":
            self.contain(tuple(self.items()))
        elif name in ("LIST", "EMPTY_LIST"):
            self.contain([_plain(item) for item in self.items()] if name == "LIST" else [])
        elif name in ("DICT", "EMPTY_DICT"):
            self.contain(_pairs(self.items()) if name == "DICT" else {})
        elif name in ("APPEND", "APPENDS"):
            items = self.items() if name == "APPENDS" else [self.pop()]
            self.top(list).extend(map(_plain, items))
        elif name in ("SETITEM", "SETITEMS"):
            items = self.items() if name == "SETITEMS" else [self.pop(), self.pop()][::-1]
            self.top(dict).update(_pairs(items))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.top(object)
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top(object)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.recall(self.memo[argument])
        elif name == "GLOBAL":
            self.name(argument)
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            self.name(f"{module} {attribute}")
        elif name == "REDUCE":
            arguments, function = self.pop(), self.pop()
            stack.append(self.made(function, arguments))
        elif name == "BUILD":
            state, found = self.pop(), self.pop()
            stack.append(found if isinstance(found, _Bytes) else found.fill(state))
        elif name not in NOTHING:
            raise ValueError(f"found the instruction {name}, which plain data do not need")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _Mark:
            raise ValueError("found a container without its end")
        return value

    def items(self) -> list[Any]:
        """All that is above the last mark."""
        items = []
        while (value := self.stack.pop()) is not _Mark:
            items.append(value)
        return items[::-1]

    def top(self, kind: type[Any]) -> Any:
        value = self.stack[-1]
        if value is _Mark or not isinstance(value, kind):
            raise ValueError(f"found a {type(value).__name__}, expected a {kind.__name__}")
        return value

    def contain(self, value: Any) -> None:
        self.containers += 1
        if self.containers > CONTAINERS:
            raise ValueError(f"found more than {CONTAINERS} lists, dicts and tuples")
        self.stack.append(value)

    def recall(self, value: Any) -> None:
        # A container in itself, or twice in each of many, would never end.
        if isinstance(value, list | dict | tuple):
            raise ValueError(f"found one {type(value).__name__} in two places")
        filled = isinstance(value, _Array) and value.value is not None
        self.stack.append(value.value if filled else value)

    def name(self, name: str) -> None:
        if name not in NAMES:
            raise ValueError(
                f"{self.path}: the pickle asks for {name.replace(' ', '.')}, which a data file "
                "does not need; expected only lists, dicts, numbers, text and uint8 arrays. "
                "Nothing of it was run: do not trust it"
            )
        self.stack.append(_Name(name))

    def made(self, function: Any, arguments: Any) -> Any:
        """The stand-in for the result of a call."""
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError("found a call of something else than a name")
        if function == ENCODE:
            # Protocols 0 to 2 write bytes like this.
            text, encoding = arguments
            if encoding != "latin1":
                raise ValueError(f"found bytes encoded as {encoding!r}, expected 'latin1'")
            self.encoded += len(text)
            if self.encoded > len(self.content):
                raise ValueError("found the same text encoded again and again")
            return text.encode("latin1")
        if function == DTYPE:
            if arguments[0] not in ("u1", b"u1"):
                raise ValueError(
                    f"found an array of {arguments[0]!r}, expected unsigned bytes (u1)"
                )
            return _Bytes()
        if function in ARRAY:
            return _Array()
        raise ValueError(f"found a call of {function}")


def _pairs(items: list[Any]) -> dict[str, Any]:
    """A dict from keys and values in turn; other keys than text could be slow to compare."""
    keys = [key.decode("latin1") if isinstance(key, bytes) else key for key in items[::2]]
    if not all(isinstance(key, str) for key in keys):
        raise ValueError("found a key that is not text")
    return dict(zip(keys, map(_plain, items[1::2]), strict=True))


def _plain(value: Any) -> Any:
    """The value, if nothing in it is a stand-in."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    kinds = (bool, int, float, str, bytes, list, dict, np.ndarray, type(None))
    if value is _Mark or isinstance(value, _Name) or not isinstance(value, kinds):
        raise ValueError(f"found a {getattr(value, '__name__', type(value).__name__)} by itself")
    return value
