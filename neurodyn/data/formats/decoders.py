"""The program of the child process in which native decoders run; see `child`.

A damaged file can crash a native decoder, keep it busy for ever or make it take all memory. This
file is run by its path and imports nothing of neurodyn, so a child starts quickly.

A request is a line of JSON: the decoder, its arguments, and the memory that it may take. An answer
is any number of messages: `a` and an array, `e` and an error (JSON: its type and text), or `.` at
the end; each with the length of its content in 8 bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

Arrays = Iterator[np.ndarray[Any, Any]]


def hdf5(path: str, names: Sequence[str], ratio: int, rows: bool = False) -> Arrays:
    """Data sets of an HDF5 file one by one or, with `rows`, one row of each in turn."""
    import h5py

    with h5py.File(path, "r") as file:
        found = [_member(file, name, ratio) for name in names]
        if not rows:
            for data in found:
                # Text of any length; other objects cannot be sent.
                yield np.asarray(data[:], bytes if data.dtype.kind == "O" else None)
            return
        if len({len(data) for data in found}) > 1:
            lengths = (f"{len(data)} {name}" for name, data in zip(names, found, strict=True))
            raise ValueError(f"found {' and '.join(lengths)}, expected as many of each")
        for row in range(len(found[0])):
            for data in found:
                yield np.asarray(data[row])


def _member(file: Any, name: str, ratio: int) -> Any:
    import h5py

    found = file
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or part not in found:
            raise ValueError(f"found {sorted(file)}, expected {name!r} in it")
        link = found.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = type(link).__name__
            raise ValueError(f"found the link {kind} at {name!r}, expected the data themselves")
        found = found[part]
    if not isinstance(found, h5py.Dataset) or not found.ndim:
        raise ValueError(f"found no array at {name!r}, expected one")
    if found.external or found.is_virtual:
        raise ValueError(f"the data of {name!r} are in other files, expected them in this one")
    most = ratio * found.id.get_storage_size()
    if found.nbytes > most:
        raise ValueError(
            f"{name!r} claims {found.nbytes:,} bytes, expected at most {most:,}, which is as much "
            "as its stored bytes could hold"
        )
    return found


def aedat4(path: str) -> Arrays:
    """The packets of events of an AEDAT 4 file, of its first stream that has events."""
    import aedat

    decoder = aedat.Decoder(path)
    streams = [key for key, stream in decoder.id_to_stream().items() if stream["type"] == "events"]
    if not streams:
        raise ValueError("found no stream of events")
    for packet in decoder:
        if packet["stream_id"] == min(streams):
            yield packet["events"]


def prophesee(path: str, encoding: str) -> Arrays:
    """The events of a recording in DAT, EVT2 or EVT3."""
    from expelliarmus import Wizard

    # A decoder gives nothing for a recording without events.
    events = Wizard(encoding).read(path)
    if events is not None:
        yield events


def hdf5_names(path: str) -> Arrays:
    """The names of the data sets at the top of an HDF5 file, in one array of text."""
    import h5py

    with h5py.File(path, "r") as file:
        yield np.array([name for name in file if isinstance(file.get(name), h5py.Dataset)], "U")


def matlab_names(path: str) -> Arrays:
    """The names of the variables of a MATLAB file, in one array of text."""
    from scipy.io import whosmat

    yield np.array([name for name, _, _ in whosmat(path)], "U")


def matlab(path: str, name: str) -> Arrays:
    """A variable of a MATLAB file."""
    from scipy.io import loadmat

    variables = loadmat(path, variable_names=[name])
    if name not in variables:
        raise ValueError(f"found no variable {name!r}")
    found = np.asarray(variables[name])
    if found.dtype.hasobject:
        raise ValueError(
            f"{name!r} is a cell or struct, expected an array of numbers; pad sequences of "
            "different lengths into one array, and save lengths beside it"
        )
    yield found


DECODERS: dict[str, Callable[..., Arrays]] = {
    "hdf5": hdf5,
    "aedat4": aedat4,
    "prophesee": prophesee,
    "matlab": matlab,
    "hdf5_names": hdf5_names,
    "matlab_names": matlab_names,
}


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        request = json.loads(line)
        try:
            _bound(request["memory"])
            for array in DECODERS[request["decoder"]](**request["arguments"]):
                content = io.BytesIO()
                np.lib.format.write_array(content, array, allow_pickle=False)
                _send(answers, b"a", content.getbuffer())
        # A panic in Rust is not an Exception.
        except BaseException as error:
            _send(answers, b"e", json.dumps([type(error).__name__, str(error)]).encode())
        else:
            _send(answers, b".", b"")


def _send(answers: IO[bytes], tag: bytes, content: bytes | memoryview) -> None:
    answers.write(tag + struct.pack("<Q", len(content)))
    answers.write(content)
    answers.flush()


def _bound(memory: int) -> None:
    """Limit the memory that this process may take from now on."""
    with contextlib.suppress(ImportError, OSError):  # Other systems than Linux have no such limit.
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = taken + memory
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    # What a decoder prints must not get between the answers.
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, kept)
