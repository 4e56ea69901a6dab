from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("aedat")
pytest.importorskip("expelliarmus")
pytest.importorskip("h5py")
if sys.platform != "linux":
    pytest.skip("the harness forks and bounds memory as Linux does", allow_module_level=True)

from tests.fuzz import harness
from tests.fuzz.harness import OUTCOMES, fuzz
from tests.fuzz.mutate import mutated
from tests.fuzz.readers import Reader, readers

READERS = readers()


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_do_no_harm(name: str) -> None:
    outcomes, examples = fuzz(READERS[name], 25)
    assert sum(outcomes.values()) == 25
    faults = {outcome: seed for outcome, seed in examples.items() if outcome in OUTCOMES[2:]}
    assert not faults, "outcomes and the seed of the file"


@pytest.mark.parametrize("name", READERS)
def test_intact_files_are_read(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    assert harness.outcome_of(reader, reader.seeds[0], tmp_path) == "read"


def unnamed(path: Path) -> None:
    raise ValueError("something is wrong")


def named(path: Path) -> None:
    raise ValueError(f"{path}: something is wrong")


def crash(path: Path) -> None:
    ctypes.string_at(0)


def hang(path: Path) -> None:
    while True:
        time.sleep(1)


def memory(path: Path) -> None:
    try:
        bytearray(2**33)
    except MemoryError as error:
        raise ValueError(f"{path}: too large") from error


def code(path: Path) -> None:
    os.system("true")


@pytest.mark.parametrize("does", [unnamed, named, crash, hang, memory, code])
def test_outcomes_are_told_apart(
    does: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "SECONDS", 0.3)
    outcomes, examples = fuzz(Reader("a.txt", does, [b"content"]), 2, first=7)
    assert outcomes == {does.__name__: 2}
    assert examples == {does.__name__: 7}


def test_one_file_to_blame(tmp_path: Path) -> None:
    bad = mutated([b"0123456789"], 5)

    def read(path: Path) -> None:
        if path.read_bytes() == bad:
            os.abort()

    outcomes, examples = fuzz(Reader("a.txt", read, [b"0123456789"]), 12)
    assert outcomes == {"read": 11, "crash": 1}
    assert examples["crash"] == 5
