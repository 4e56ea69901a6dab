"""Kernels on disk: shared by processes, read-only, broken, nowhere."""

import os
import subprocess
import sys
from pathlib import Path

from neurodyn import files
from neurodyn.files import cache_dir

SCRIPT = """
import time, torch
from neurodyn.neurons import LNM
x = torch.randn(4, 8, 100, requires_grad=True)
LNM(backend="cpu")(x).sum().backward()
print("done")
"""


def _script(folder):
    environment = {**os.environ, "NEURODYN_CACHE": str(folder)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment, **pipes)


def test_processes_share_a_cache_and_a_warm_one_compiles_nothing(tmp_path):
    together = [_script(tmp_path) for _ in range(2)]
    assert all(process.communicate()[0].strip() == b"done" for process in together)
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert any(path.suffix == ".o" for path in stored)
    tmp_path.chmod(0o555)  # Shared caches are often read-only.
    assert _script(tmp_path).communicate()[0].strip() == b"done"
    tmp_path.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == stored


def test_a_cache_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    output, complaints = _script(blocked).communicate()
    assert output.strip() == b"done"
    assert complaints.count(b"Warning") <= 1


def test_a_broken_file_of_the_cache_is_made_anew(tmp_path):
    assert _script(tmp_path).communicate()[0].strip() == b"done"
    codes = [path for path in tmp_path.iterdir() if path.suffix == ".o"]
    for path in codes:
        path.write_bytes(path.read_bytes()[:-100])
    assert _script(tmp_path).communicate()[0].strip() == b"done"
    assert all(path.stat().st_size > 1000 for path in codes)
    assert len(list(tmp_path.iterdir())) == 2 * len(codes)


def test_a_user_without_a_home(monkeypatch):
    def nowhere(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NEURODYN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert cache_dir().is_dir()
    files.keep("kernel.o", b"code")
    assert files.kept("kernel.o") == b"code"
    (cache_dir() / "kernel.o").unlink()


def test_a_tilde_in_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("NEURODYN_CACHE", "~/kernels")
    assert cache_dir() == Path("/somewhere/kernels")
