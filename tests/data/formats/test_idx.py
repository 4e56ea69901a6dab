from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodyn.data.formats.idx import read_idx
from tests.data.files import write_idx

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(7,), (5, 4, 3), (1, 1, 1, 1)])
def test_round_trip(tmp_path: Path, packed: bool, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    read = read_idx(write_idx(tmp_path / "a-idx-ubyte", array, packed=packed))
    assert read.dtype == torch.uint8
    assert torch.equal(read, torch.from_numpy(array))


def test_result_is_writable_and_independent(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a", IMAGES)
    read_idx(path).zero_()
    assert read_idx(path).sum() == IMAGES.sum()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"found the first bytes \(none\), expected an idx file"),
        (b"\0\0\x08", "found the first bytes 00 00 08"),
        (b"\x89PNG\r\n", "found the first bytes 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\x01\x01", "found the first bytes 00 00 0a 01"),
        (b"\0\0\x08\0", "found the first bytes 00 00 08 00"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "found 32-bit floats, expected unsigned bytes"),
        (b"\0\0\x08\x03\0\0\0\x05", "header ends after 8 bytes, expected 16 for 3 dimensions"),
        (b"\0\0\x08\x02\0\0\0\x05\0\0\0\0", r"found the shape \(5, 0\)"),
    ],
)
def test_broken_header(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (slice(None, -1), r"found 59 bytes after the header, expected 60 \(5 x 4 x 3\)"),
        (slice(None, 16), "found 0 bytes after the header, expected 60"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_truncated_content(tmp_path: Path, cut: slice, message: str, packed: bool) -> None:
    path = write_idx(tmp_path / "a", IMAGES)
    content = path.read_bytes()[cut]
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


@pytest.mark.parametrize("packed", [False, True])
def test_trailing_content(tmp_path: Path, packed: bool) -> None:
    path = write_idx(tmp_path / "a", IMAGES)
    content = path.read_bytes() + b"x"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match="found more bytes after the header, expected 60"):
        read_idx(path)


def test_truncated_gzip(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a.gz", IMAGES, packed=True)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match="gzip stream is broken") as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_overwritten_gzip(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "a.gz", IMAGES, packed=True)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the checksum
    path.write_bytes(content)
    with pytest.raises(ValueError, match="gzip stream is broken"):
        read_idx(path)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=64), prefix=st.sampled_from([b"", b"\0\0\x08\x01", b"\x1f\x8b"]))
def test_arbitrary_bytes_give_a_tensor_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, prefix: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "arbitrary-idx"
    path.write_bytes(prefix + content)
    whole = prefix + content
    try:
        read = read_idx(path)
    except ValueError as error:
        message = str(error)
    else:
        message = str(path)
        assert read.numel() == len(whole) - 4 - 4 * read.ndim
    assert str(path) in message
