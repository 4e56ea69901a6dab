"""Damaged files one after the other in forked children, and what became of each.

A child has bounds of memory and time, and an audit hook that notices code. If it dies or takes too
long, the file that it was reading is to blame, and another child goes on with the next.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from neurodyn.data.formats import child
from tests.fuzz.mutate import mutated
from tests.fuzz.readers import Reader

OUTCOMES = ("named", "read", "unnamed", "crash", "hang", "memory", "code")
"""An error that names the file, and what else can become of one; from the third on, a fault."""

MEMORY = 2**30
"""Bytes that reading a file of some kilobytes may take."""

SECONDS = 10.0
"""After this, a child hangs. Decoders in a child of their own have less, and end in an error."""

PATIENCE = 0.3
"""Seconds that a decoder in a child may take for these small files."""

CODE = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pickle.find_class", "socket.connect")

WRITING = ("os.mkdir", "os.remove", "os.rename", "os.chmod")


def fuzz(reader: Reader, mutations: int, first: int = 0) -> tuple[Counter[str], dict[str, int]]:
    """How often each outcome came, and for each an example's seed."""
    outcomes: Counter[str] = Counter()
    examples: dict[str, int] = {}
    seed, end = first, first + mutations
    while seed < end:
        for outcome in _child(reader, seed, end):
            outcomes[outcome] += 1
            examples.setdefault(outcome, seed)
            seed += 1
    return outcomes, examples


def _child(reader: Reader, first: int, end: int) -> list[str]:
    """Outcomes from the first file on, until a child ends."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(receive)
        status = 1
        try:
            _bounded()
            for seed in range(first, end):
                outcome = outcome_of(reader, mutated(reader.seeds, seed), folder)
                os.write(send, bytes([OUTCOMES.index(outcome)]))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            child.end_all()
            os._exit(status)
    os.close(send)
    outcomes = []
    while True:
        ready, _, _ = select.select([receive], [], [], SECONDS)
        told = os.read(receive, 4096) if ready else b""
        outcomes += [OUTCOMES[number] for number in told]
        if not told:
            break
    if not ready:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(receive)
    shutil.rmtree(folder, ignore_errors=True)
    if len(outcomes) < end - first:
        outcomes.append("crash" if ready else "hang")
    return outcomes


def _bounded() -> None:
    child.PATIENCE = PATIENCE
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, hard))
    warnings.simplefilter("ignore")


def outcome_of(reader: Reader, content: bytes, folder: Path) -> str:
    """What becomes of a file with this content."""
    path = folder / reader.name
    path.write_bytes(content)
    ran: list[str] = []
    _watch(ran, folder)
    try:
        reader.read(path)
        outcome = "read"
    except BaseException as error:
        outcome = "memory" if _hungry(error) else "named" if path.name in str(error) else "unnamed"
        if not isinstance(error, Exception):
            outcome = "crash"
    finally:
        _watch(None, folder)
    return "code" if ran else outcome


def _hungry(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


_watching: tuple[list[str], str] | None = None
_hooked = False


def _watch(ran: list[str] | None, folder: Path) -> None:
    """Note in the list what is run, or is written outside the folder; a hook stays for ever."""
    global _watching, _hooked
    _watching = None if ran is None else (ran, str(folder))
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching is None:
        return
    ran, folder = _watching
    if event == "subprocess.Popen":
        harmful = not str(args[1][-1]).endswith("decoders.py")
    elif event == "open":
        # Pipes are opened by their number.
        writes = isinstance(args[0], str) and bool(set(str(args[1] or "")) & set("wax+"))
        harmful = writes and not args[0].startswith((folder, os.devnull))
    else:
        written = event in WRITING and not str(args[0]).startswith(folder)
        harmful = event in CODE or written
    if harmful:
        ran.append(event)
