"""`neurodyn bench gpu` runs from end to end, without a GPU."""

import hashlib
import importlib.util
import json
import tarfile

import pytest

from benchmarks import _gpu_parts, _pieces, gpu
from neurodyn.data.archive import Archive, Source
from neurodyn.scan.gpu import sizes

needs_triton = pytest.mark.skipif(
    not importlib.util.find_spec("triton"), reason="Triton is not installed"
)


@needs_triton
def test_parts_run_and_are_not_run_again(tmp_path, capsys):
    options = ["--dry-run", f"--out={tmp_path}", "--minutes=5", "--parts=tune,kernels"]
    gpu.main(options)
    said = capsys.readouterr().out
    assert "### tune" in said
    assert "- LNM per channel, T=16, bfloat16: forward ms " in said
    assert "error" not in said
    found = json.loads((tmp_path / "sizes.json").read_text())
    assert set(found) >= {sizes.key(True, 1, True, 2), sizes.key(False, 2, False, 4)}
    before = (tmp_path / "tune.json").read_text()
    gpu.main([*options, "--resume"])
    assert (tmp_path / "tune.json").read_text() == before


@needs_triton
@pytest.mark.slow
def test_all_of_it_runs(tmp_path, capsys):
    gpu.main(["--dry-run", f"--out={tmp_path}", "--minutes=20"])
    said = capsys.readouterr().out
    for name in gpu.SHARES:
        assert json.loads((tmp_path / f"{name}.json").read_text())["ended"], name
        assert f"### {name}" in said
    assert "error" not in said
    assert "failed" not in said
    assert (tmp_path / "gpu.md").read_text() in said


def test_a_part_that_hangs_ends_with_what_it_had(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu.sys, "executable", "/bin/sleep")
    monkeypatch.setattr(gpu.subprocess, "Popen", lambda _, **k: real(["/bin/sleep", "60"], **k))
    options = gpu.argparse.Namespace(out=tmp_path, data=tmp_path, dry_run=False, site=None)
    (tmp_path / "kernels.json").write_text('{"facts": {}, "cases": {"a": {"ms": 1}}}')
    found = gpu.run_part("kernels", 0.2, options)
    assert found["why"] == "out of time"
    assert found["cases"] == {"a": {"ms": 1}}
    assert "not to its end: out of time" in gpu.table({"kernels": found})


real = gpu.subprocess.Popen


def test_a_failure_is_a_case_and_is_tried_again(tmp_path):
    def broken():
        raise RuntimeError("no kernel")

    options = gpu.argparse.Namespace(out=tmp_path, data=tmp_path, dry_run=True, seconds=9.0)
    part = _gpu_parts.Part("kernels", options)
    assert part.case("a", broken) == {"error": "RuntimeError: no kernel"}
    part = _gpu_parts.Part("kernels", options)
    assert part.case("a", lambda: {"ms": 1}) == {"ms": 1}
    assert part.case("a", broken) == {"ms": 1}


def test_what_is_missing_for_training_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(_gpu_parts, "TRAINING", ("json", "not_there"))
    options = gpu.argparse.Namespace(out=tmp_path, data=tmp_path, dry_run=True, seconds=9.0)
    with pytest.raises(ImportError, match="not_there are not installed; give them by --wheels"):
        _gpu_parts.trained(_gpu_parts.Part("speed", options), "cifar10-speed", "lnm", 9.0)


def test_parts_that_do_not_exist_are_named():
    with pytest.raises(SystemExit, match=r"parts: expected some of contract, .* got kernel$"):
        gpu.main(["--parts=kernel"])


@pytest.fixture
def pieces(tmp_path, monkeypatch):
    """An archive of one file, cut into three."""
    folder = tmp_path / "pieces"
    folder.mkdir()
    (tmp_path / "batch").write_text("images")
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "batch", "set/batch")
    data = (tmp_path / "set.tar.gz").read_bytes()
    for i in range(3):
        (folder / f"set.tar.gz.0{i}").write_bytes(data[i * 60 : (i + 1) * 60 if i < 2 else None])
    checksum = f"md5:{hashlib.md5(data).hexdigest()}"
    source = Source("Set", "set", archives=(Archive("set.tar.gz", checksum),))
    monkeypatch.setattr(_pieces, "published", lambda: {"set.tar.gz": (source, checksum)})
    return folder


def test_pieces_are_joined_and_unpacked(pieces, tmp_path):
    (archive,) = _pieces.join(pieces, tmp_path / "out")
    _pieces.unpack(archive, tmp_path / "data")
    assert (tmp_path / "data/set/batch").read_text() == "images"


def test_pieces_that_are_not_as_published_are_refused(pieces, tmp_path):
    (pieces / "set.tar.gz.01").unlink()
    with pytest.raises(SystemExit, match=r"from set.tar.gz.00, set.tar.gz.02: expected md5:"):
        _pieces.join(pieces, tmp_path / "out")


def test_sizes_that_were_measured_are_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path))
    sizes.measured.cache_clear()
    key = sizes.key(True, 1, True, 2)
    (tmp_path / sizes.FILE).write_text(json.dumps({key: [2, 8]}))
    assert sizes.measured() == {key: sizes.Sizes(2, 8)}
    sizes.measured.cache_clear()
    (tmp_path / sizes.FILE).write_text(json.dumps({key: [3, 8]}))
    with pytest.raises(ValueError, match=r"gpu-sizes.json: expected elements of a thread and"):
        sizes.measured()
    sizes.measured.cache_clear()
