from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neurodyn.data import NMNIST, EventAugment, EventFolder
from neurodyn.data.sets.recordings import side_of, tell
from tests.data import recordings
from tests.data.files import find_real, write_nmnist
from tests.data.formats.test_events import made
from tests.data.sets.test_arrays import first, saved
from tests.data.test_base import fit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))


def tree(root: Path, parts=("",), number=6) -> str:
    for part in parts:
        for kind in ("left", "right"):
            for index in range(number):
                path = root / part / kind / f"{index}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_nmnist(path, made(60 + index, 20))
    return str(root)


def test_a_flat_tree(tmp_path, capsys):
    tell.cache_clear()
    data = EventFolder(tree(tmp_path / "a"), steps=5, batch_size=4)
    frames, _labels = first(data)
    assert data.shape == (2, 20, 20)
    assert frames.shape == (5, 4, 2, 20, 20)
    assert data.targets.names == ("left", "right")
    assert "a sensor of 20x20 pixels, from the largest coordinates" in capsys.readouterr().err
    assert (len(data._training), len(data._validation), len(data._test)) == (9, 1, 2)


def test_parts_sides_and_sizes(tmp_path):
    path = tree(tmp_path / "a", ("Train", "Test"))
    data = EventFolder(path, side=(24, 30), size=(12, 15), steps=4, augment=EventAugment(flip=True))
    assert fit(data).seen["train"][0][0].shape == (4, 11, 2, 12, 15)
    data.setup("test")
    assert len(data._test) == 12
    with pytest.raises(ValueError, match="size: expected a number from 1 to 24, got 25"):
        EventFolder(path, side=24, size=25).setup()
    with pytest.raises(ValueError, match=r"found [xy] from .*expected 0 to 9"):
        EventFolder(path, side=10, steps=4).setup()


def test_sensors_that_headers_name(tmp_path):
    aedat = tmp_path / "a.aedat4"
    aedat.write_bytes(recordings.aedat4())
    raw = tmp_path / "a.raw"
    raw.write_bytes(b"% evt 3.0\n% geometry 1280x720\n% end\n")
    other = tmp_path / "b.raw"
    other.write_bytes(b"% format EVT3;height=480;width=640\n% end\n")
    dat = tmp_path / "a.dat"
    dat.write_bytes(b"% Data file\n% Height 240\n% Width 304\n")
    assert side_of((raw,))[0] == (720, 1280)
    assert side_of((other,))[0] == (480, 640)
    assert side_of((dat,))[0] == (240, 304)


def test_a_state_is_enough_for_new_recordings(tmp_path):
    path = Path(tree(tmp_path / "a"))
    data = EventFolder(str(path), steps=5)
    state = saved(data)
    (path / "left" / "0.bin").rename(tmp_path / "new.bin")
    for file in path.rglob("*.bin"):
        file.unlink()
    bare = EventFolder(str(path), steps=5)
    bare.load_state_dict(state)
    assert (bare.shape, bare.sample_shape, bare.outputs) == ((2, 20, 20), (5, 2, 20, 20), 2)
    files = bare.read_files([tmp_path / "new.bin"])
    assert bare.as_input(files.values[torch.tensor([0, 0])]).shape == (5, 2, 2, 20, 20)


def test_published_recordings_read_new_ones(tmp_path):
    write_nmnist(tmp_path / "new.bin", made(60, 34))
    data = NMNIST(steps=5, size=17)
    values = data.read_files([tmp_path / "new.bin"]).values[torch.arange(1)]
    assert values.shape == (1, 5, 2, 34, 34)
    assert data.as_input(values).shape == (5, 1, 2, 17, 17)
    with pytest.raises(ValueError, match=r"none\.png: expected a file of"):
        data.read_files([tmp_path / "none.png"]).values[torch.arange(1)]


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="side: expected at least 1"):
        EventFolder("nowhere", side=0)
    with pytest.raises(FileNotFoundError, match="looked for a folder of recordings"):
        EventFolder(str(tmp_path / "none")).setup()


def test_real_recordings():
    root = find_real("NMNIST/Train/0")
    data = EventFolder(str(root / "NMNIST" / "Train"), steps=8)
    assert (data.shape, data.outputs) == ((2, 34, 34), 10)
    data.setup()
    frames = data._training.values[torch.arange(2)]
    assert frames.sum() > 0
    assert np.asarray(data._test.labels).size == 200
