from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurodyn.data.formats import child
from neurodyn.data.formats.events import read_events
from tests.data import recordings

DECODER = """
import os, time
import numpy as np

class Panic(BaseException):
    pass

class Decoder:
    def __init__(self, path):
        {does}

    def id_to_stream(self):
        return {{0: {{"type": "events"}}}}

    def __iter__(self):
        event = np.zeros(3, [("x", "i2"), ("y", "i2"), ("t", "i8"), ("on", "?")])
        yield {{"stream_id": 0, "events": event}}
"""


@pytest.fixture(autouse=True)
def own_children() -> Iterator[None]:
    child.end_all()
    yield
    child.end_all()


def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Path:
    """An AEDAT 4 file, and a decoder for it that does this."""
    (tmp_path / "aedat.py").write_text(DECODER.format(does=does))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "a.aedat4"
    path.write_bytes(recordings.aedat4())
    return path


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("os.abort()", "the decoder died of SIGABRT"),
        ("os._exit(3)", "the decoder ended with 3"),
        ("time.sleep(60)", "the decoder took longer than 1 s"),
        ("raise Panic('at line 7')", "Panic: at line 7"),
        ("bytearray(2**40)", "MemoryError"),
        ("raise KeyError('x')", "KeyError: 'x'"),
    ],
)
def test_what_a_decoder_does_stays_in_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, message: str
) -> None:
    monkeypatch.setattr(child, "PATIENCE", 1.0)
    path = recording(tmp_path, monkeypatch, does)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{message}; expected a complete .aedat4") as error:
            read_events(path)
        assert str(error.value).startswith(f"{path}: ")


def test_a_decoder_may_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path, monkeypatch, "print('noise'); os.write(1, b'more')")
    assert len(read_events(path)) == 3


def test_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path, monkeypatch, "pass")
    (tmp_path / "aedat.py").write_text("raise ImportError('no aedat here')")
    with pytest.raises(ImportError, match=r"no aedat here. .*: pip install 'neurodyn\[events\]'"):
        read_events(path)


def test_a_child_is_used_again_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording(tmp_path, monkeypatch, "pass")
    read_events(path)
    (first,) = child._idle[os.getpid()]
    read_events(path)
    assert child._idle[os.getpid()] == [first]
    first.process.kill()
    first.process.wait()
    assert len(read_events(path)) == 3
    (second,) = child._idle[os.getpid()]
    assert second is not first


def test_two_files_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path, monkeypatch, "pass")
    both = [child.decoded("aedat4", path, "events") for _ in range(2)]
    assert [len(next(arrays)) for arrays in both] == [3, 3]
    both.pop().close()
    assert list(both.pop()) == []
    assert len(child._idle[os.getpid()]) == 1, "one was given up half-way"
