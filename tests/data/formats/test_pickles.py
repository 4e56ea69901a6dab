from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodyn.data.formats.pickles import load_pickle

ARRAY = np.arange(24, dtype=np.uint8).reshape(4, 6)


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("array", [ARRAY, np.asfortranarray(ARRAY), ARRAY[:, ::2]])
def test_arrays_round_trip(tmp_path: Path, protocol: int, array: np.ndarray) -> None:
    value = {b"data": array, b"labels": [1, 2, 3], "nested": [{"a": (None, 1.5, "x", b"\xff")}]}
    read = load_pickle(written(tmp_path, pickle.dumps(value, protocol=protocol)))
    np.testing.assert_array_equal(read["data"], array)
    assert read["data"].dtype == np.uint8
    assert read["labels"] == [1, 2, 3]
    assert read["nested"] == [{"a": (None, 1.5, "x", b"\xff")}]


def test_python_2_batch(tmp_path: Path) -> None:
    # Byte for byte what Python 2 and the NumPy of CIFAR's days write (protocol 2).
    content = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03"
        b"cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06"
        b"U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x06\x00\x01\x02\x03\x04\xfftbU\x06labelsq\x08]q\x09(K\x06K\x09eu."
    )
    read = load_pickle(written(tmp_path, content))
    np.testing.assert_array_equal(read["data"], [[0, 1, 2], [3, 4, 255]])
    assert read["labels"] == [6, 9]


class Runs:
    """Unpickles to a call."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("function", "named"),
    [(os.mkdir, "mkdir"), (os.system, "system"), (eval, "eval"), (exec, "exec"), (open, "open")],
)
def test_code_is_refused_and_not_run(
    tmp_path: Path, protocol: int, function: Any, named: str
) -> None:
    trace = tmp_path / "trace"
    args = {
        "mkdir": (str(trace),),
        "system": (f"touch '{trace}'",),
        "eval": (f"__import__('os').mkdir({str(trace)!r})",),
        "exec": (f"import os; os.mkdir({str(trace)!r})",),
        "open": (str(trace), "w"),
    }[named]
    content = pickle.dumps([1, Runs(function, *args)], protocol=protocol)
    with pytest.raises(ValueError, match=rf"asks for \w+\.{named}, .* Nothing of it was run"):
        load_pickle(written(tmp_path, content))
    assert not trace.exists()
    # The pickle is a working one: without the guard it leaves its trace.
    pickle.loads(content)
    assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x10numpy.core.multi\x8c\x04eval\x93.",
        b"cnumpy\nload\n.",
        b"cnumpy\nndarray.tofile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"c_codecs\nlookup\n.",
        b"ccopyreg\n_reconstructor\n.",
        b"cneurodyn.data.formats.pickles\nALLOWED\n.",
        b"cnumpy._core.numeric\n_frombuffer\n.",
    ],
)
def test_neighbours_of_the_allowed_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="the pickle asks for "):
        load_pickle(written(tmp_path, content))


@pytest.mark.parametrize("array", [ARRAY.astype(np.float32), np.array([{}], dtype=object)])
@pytest.mark.parametrize("protocol", [2, 5])
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    path = written(tmp_path, pickle.dumps({"data": array}, protocol=protocol))
    with pytest.raises(ValueError, match=r"expected unsigned bytes|asks for"):
        load_pickle(path)


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy\nndarray\n.",
        b"cnumpy\nndarray\n(K\x05tR.",
        b"cnumpy\ndtype\n(S'u1'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR.",
        b"Pid\n.",
    ],
)
def test_stand_ins_do_not_get_out(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="truncated or corrupt"):
        load_pickle(written(tmp_path, content))


@pytest.mark.parametrize("shape", [(4, 7), (10**12,), (-4, -6), "ab"])
def test_array_of_the_wrong_size(tmp_path: Path, shape: Any) -> None:
    good = pickle.dumps(Runs(np.dtype, "u1"), protocol=2)[2:-1]
    state = pickle.dumps(shape, protocol=2)[2:-1]
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01" + state + good + b"\x89"
        b"C\x18" + bytes(24) + b"tb."
    )
    with pytest.raises(ValueError, match="truncated or corrupt"):
        load_pickle(written(tmp_path, content))


def test_every_truncation_is_reported(tmp_path: Path) -> None:
    content = pickle.dumps({b"data": ARRAY, b"labels": [1, 2]}, protocol=2)
    for length in range(len(content)):
        path = written(tmp_path, content[:length])
        with pytest.raises(ValueError, match=r"truncated or corrupt|asks for") as error:
            load_pickle(path)
        assert str(path) in str(error.value)


def bomb(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


SHARED = b"]q\x00" + b"".join(
    b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(60)
)  # Each list holds the one before it twice.
KEYS = b"}(" + b"".join(
    b"\x8a\x10" + (n * (2**61 - 1)).to_bytes(16, "little") + b"K\x00" for n in range(20_000)
)  # All keys have the same hash.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02]r\x00\x00\x00\x18.", None),  # A memo of 6 GB, for a pickler that has one.
        (bomb(SHARED), "one list in two places"),
        (bomb(b"]q\x00h\x00a"), "one list in two places"),
        (bomb(b"]" * 2000), "more than 1000 lists"),
        (bomb(b"(" * 100_000), "truncated or corrupt"),
        (bomb(KEYS, b"u"), "a key that is not text"),
        (bomb(b"]q\x00", b"2" * 100), "the instruction DUP"),
        (bomb(b"B\xff\xff\xff\x7f"), "truncated or corrupt"),
        (b"\x80\x05\x96" + b"\xff" * 7 + b"\x00.", "truncated or corrupt"),
        (bomb(b"L" + b"9" * 100_000 + b"L\n"), "truncated or corrupt"),
        (
            bomb(
                b"(X\x00\x01\x00\x00" + b"a" * 256 + b"q\x00X\x06\x00\x00\x00latin1q\x01",
                b"c_codecs\nencode\nh\x00h\x01\x86R" * 200,
            ),
            "the same text encoded again",
        ),
    ],
)
def test_small_files_stay_small(tmp_path: Path, content: bytes, message: str | None) -> None:
    path = written(tmp_path, content)
    tracemalloc.start()
    try:
        if message is None:
            assert load_pickle(path) == []
        else:
            with pytest.raises(ValueError, match=message) as error:
                load_pickle(path)
            assert str(path) in str(error.value)
        assert tracemalloc.get_traced_memory()[1] < 1e6 + 100 * len(content)
    finally:
        tracemalloc.stop()
