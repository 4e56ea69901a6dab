"""Kernels on disk: shared by processes, read-only, broken, nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_refused", set())
    (tmp_path / "cache").mkdir()
    files.keep("kernel.o", b"code")
    assert files.kept("kernel.o") == b"code"
    return tmp_path / "cache"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_code_is_not_run_from_a_folder_that_others_can_write(mode, folder):
    folder.chmod(mode)
    with pytest.warns(RuntimeWarning, match="is not used.* others can write there") as seen:
        found = [files.kept("kernel.o") for _ in range(2)]
    assert found == [None, None]
    assert len(seen) == 1, "once"
    files.keep("other.o", b"mine")
    assert files.kept("other.o") == b"mine"
    assert files.keep_text("kernel.py", "pass").parent == files.own_folder()
    assert [path.name for path in folder.iterdir()] == ["kernel.o"]
    (files.own_folder() / "other.o").unlink()
    folder.chmod(0o755)
    assert files.kept("kernel.o") == b"code"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no owners of this kind")
def test_code_is_not_run_from_a_folder_of_another_user(folder, monkeypatch):
    owner = os.stat_result((*folder.stat()[:4], 4242, *folder.stat()[5:]))
    monkeypatch.setattr(Path, "stat", lambda path, **_: owner)
    with pytest.warns(RuntimeWarning, match="is not used.* it belongs to user 4242"):
        assert files.kept("kernel.o") is None
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    assert files.kept("kernel.o") == b"code"


def test_root_s_folder_may_be_shared(folder, monkeypatch):
    owner = os.stat_result((*folder.stat()[:4], 0, *folder.stat()[5:]))
    monkeypatch.setattr(Path, "stat", lambda path, **_: owner)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    assert files.kept("kernel.o") == b"code"


def test_the_folder_is_made_for_this_user_alone_to_write(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        files.keep("kernel.o", b"code")
    finally:
        os.umask(before)
    assert files.kept("kernel.o") == b"code"
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_swapped_for_another_is_not_run(folder):
    (folder / "kernel.o").rename(folder / "other.o")
    assert files.kept("other.o") is None


def test_a_kernel_is_written_again_where_its_file_is_another_s(tmp_path):
    assert _script(tmp_path).communicate()[0].strip() == b"done"
    codes = sorted(path for path in tmp_path.iterdir() if path.suffix == ".o")
    right = {path: path.read_bytes() for path in codes}
    first, last = codes[0], codes[-1]
    first.write_bytes(right[last])
    last.write_bytes(right[first])
    assert _script(tmp_path).communicate()[0].strip() == b"done"
    assert {path: path.read_bytes() for path in codes} == right


def test_a_tilde_in_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("NEURODYN_CACHE", "~/kernels")
    assert cache_dir() == Path("/somewhere/kernels")
