from pathlib import Path

import pytest
from matplotlib.figure import Figure

from neurodyn.analysis.pictures import save


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "curves.png"
    save(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    def half(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="no space left"):
        save(Figure(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
