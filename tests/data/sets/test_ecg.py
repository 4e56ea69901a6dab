import numpy as np
import pytest
import torch

from neurodyn.data import QTDB
from neurodyn.data.targets import UNLABELLED

savemat = pytest.importorskip("scipy.io").savemat


def write(root, part, x=None, y=None, count=20):
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, (count, 1301, 4), np.int16) if x is None else x
    if y is None:
        y = np.eye(6, dtype=np.uint8)[rng.integers(0, 6, (count, 1301))]
        y[:, :100] = 0
    (root / "qtdb").mkdir(exist_ok=True)
    savemat(root / "qtdb" / f"QTDB_{part}.mat", {"x": x, "y": y, "t": np.arange(3)})
    return x, y


def test_steps_without_a_label_are_left_out(tmp_path):
    x, _ = write(tmp_path, "train")
    data = QTDB(str(tmp_path), batch_size=4, validation=4)
    data.setup("fit")
    samples, labels = data.prepared(next(iter(data.train_dataloader())))
    assert samples.shape == (1301, 4, 4)
    assert labels.shape == (1301, 4)
    assert (labels[:100] == UNLABELLED).all()
    assert (labels[100:] >= 0).all()
    assert data.label_counts().sum() == 16 * 1201
    kept, _ = data.read(train=True)
    assert np.array_equal(kept, x)
    assert data.targets.default == 0
    assert data.targets.name(1) == "PQ"


def test_the_signal_is_rebuilt_from_its_crossings():
    x = torch.zeros(5, 4, dtype=torch.int8)
    x[1, 0] = x[2, 0] = x[3, 1] = x[4, 1] = 1  # The first lead goes up twice, and down again.
    x[4, 2] = 1  # The second one drifts: it ends a level above its start.
    signal = QTDB().signal(x)
    assert signal[:, 0].tolist() == [0, 1, 2, 1, 0]
    assert signal[-1, 1] == 0


def test_or_count_as_the_first_class(tmp_path):
    write(tmp_path, "train")
    data = QTDB(str(tmp_path), unlabelled="P")
    _, labels = data.read(train=True)
    assert (labels[:, :100] == 0).all()
    assert data.targets.default is None
    with pytest.raises(ValueError, match="unlabelled: unknown name 'Q'"):
        QTDB(unlabelled="Q")


def test_files_that_are_not_there_or_not_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"QT Database: looked for .*QTDB_test.mat.*"):
        QTDB(str(tmp_path)).read(train=False)
    for x, y, found in [
        (np.zeros((2, 1301, 3)), None, r"found x \(2, 1301, 3\)"),
        (np.full((20, 1301, 4), 2), None, "found x outside -1 to 1"),
        (None, np.ones((20, 1301, 6)), "found steps with several labels"),
    ]:
        write(tmp_path, "test", x, y)
        with pytest.raises(ValueError, match=rf"QTDB_test.mat: {found}"):
            QTDB(str(tmp_path)).read(train=False)
    (tmp_path / "qtdb" / "QTDB_test.mat").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"QTDB_test.mat: .*expected a complete MATLAB file"):
        QTDB(str(tmp_path)).read(train=False)


def test_real_files(tmp_path):
    """Only where the published files are."""
    from neurodyn.data.archive import folder_of

    if not (folder_of("~/.cache/neurodyn/data") / "qtdb").is_dir():
        pytest.skip("the files of the QT Database are not there")
    for train, count, share in ((True, 618, 0.0818), (False, 141, 0.1039)):
        samples, labels = QTDB().read(train)
        assert len(samples) == count
        assert (labels == UNLABELLED).double().mean() == pytest.approx(share, abs=1e-4)
        assert samples.dtype == torch.int8
