from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from neurodyn.cli import main
from neurodyn.data import SHD, SSC, SpokenDigits, SpokenDigitSpikes
from neurodyn.data.augment.spikes import SpikeAugment
from tests.data.files import find_real, write_spikes, write_wav
from tests.data.test_base import fit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODYN_CACHE", str(tmp_path / "cache"))


def write_digits(root: Path) -> str:
    """Speakers 0 to 2 in both parts, each of them every digit."""
    for part, number in (("train", 60), ("test", 30)):
        samples = range(number)
        path = root / "fsdd_spikes" / f"fsdd_spikes_{part}.h5"
        write_spikes(path, [n % 10 for n in samples], speakers=[n // 10 % 3 for n in samples])
    return str(root)


def test_counts_are_made_once(tmp_path: Path) -> None:
    write_spikes(tmp_path / "SHD" / "shd_train.h5", [3, 1, 2])
    values, labels = SHD(str(tmp_path)).read(train=True)
    (kept,) = (tmp_path / "cache" / "samples").iterdir()
    before = kept.stat().st_mtime_ns
    assert torch.equal(SHD(str(tmp_path)).read(train=True)[0], values)
    assert kept.stat().st_mtime_ns == before
    assert labels.tolist() == [3, 1, 2]
    assert SHD(str(tmp_path), channels=70).read(train=True)[0].shape == (3, 100, 70)


def test_shd(tmp_path: Path) -> None:
    write_spikes(tmp_path / "SHD" / "shd_train.h5", [n % 20 for n in range(60)])
    write_spikes(tmp_path / "SHD" / "shd_test.h5", list(range(20)))
    augment = SpikeAugment(cutmix=0.5, time_mask=0.65, channel_mask=0.65)
    data = SHD(str(tmp_path), batch_size=10, augment=augment)
    model = fit(data)
    assert data.shape == (140,)
    sequences, labels = model.seen["train"][0]
    assert sequences.shape == (100, 10, 140)
    assert labels.shape == (10, 20)
    torch.testing.assert_close(labels.sum(1), torch.ones(10))
    sequences, labels = model.seen["val"][0]
    assert sequences.shape == (100, 6, 140)
    assert labels.dtype == torch.int64


def test_shd_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"shd_train\.h5\.zip and unpack it in .*/SHD\."):
        SHD(str(tmp_path)).setup("fit")


def test_shd_from_its_files_to_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for part, number in (("train", 60), ("test", 20)):
        write_spikes(tmp_path / "SHD" / f"shd_{part}.h5", [n % 20 for n in range(number)])
    small = ["--data.steps=12", "--data.step_ms=100", "--model.network.init_args.widths=[8,8]"]
    here = [f"--data.root={tmp_path}", "--data.batch_size=10", "--trainer.max_epochs=1"]
    what = ["--config", "shd", "--seeds", "1", "--out", "run", "--trainer.accelerator=cpu"]
    order = "delayed:neuron=AdLIF:neuron.init_args.backend=reference:order=3"
    assert main(["compare", *what, "--neurons", order, *small, *here]) == 0
    (result,) = tmp_path.glob("run/*/seed-0/result.json")
    assert 0 <= json.loads(result.read_text())["score"] <= 100


def test_ssc_has_a_validation_file_of_its_own(tmp_path: Path) -> None:
    for part, number in (("train", 70), ("valid", 35), ("test", 40)):
        write_spikes(tmp_path / "SSC" / f"ssc_{part}.h5", [n % 35 for n in range(number)])
    data = SSC(str(tmp_path), steps=50, step_ms=20, channels=70)
    data.setup()
    assert [len(part) for part in (data._training, data._validation, data._test)] == [70, 35, 40]
    assert data._test.values.shape == (40, 50, 70)
    with pytest.raises(ValueError, match="validation: SSC has a file for it"):
        SSC(validation=0.1)  # type: ignore[arg-type]


def parts(data: SpokenDigitSpikes) -> list[set[bytes]]:
    data.setup()
    sets = (data._training, data._validation, data._test)
    return [{values.numpy().tobytes() for values, _ in samples} for samples in sets]


def test_published_split_of_the_digits(tmp_path: Path) -> None:
    training, validation, test = parts(SpokenDigitSpikes(write_digits(tmp_path)))
    assert [len(training), len(validation), len(test)] == [54, 6, 30]


def test_an_unknown_speaker_is_tested(tmp_path: Path) -> None:
    root = write_digits(tmp_path)
    published = parts(SpokenDigitSpikes(root, validation=0))
    everything = published[0] | published[2]
    said = {}
    for name in ("ann", "bob", "cas"):
        training, _, said[name] = parts(SpokenDigitSpikes(root, test_speaker=name, validation=0))
        assert not training & said[name]
        assert training | said[name] == everything
        assert len(said[name]) == 30
    training, validation, test = parts(
        SpokenDigitSpikes(root, test_speaker="ann", validation="bob")
    )
    assert (training, validation, test) == (said["cas"], said["bob"], said["ann"])
    training, validation, test = parts(SpokenDigitSpikes(root, test_speaker="ann"))
    assert len(validation) == 6
    assert test == said["ann"]
    assert not (training | validation) & test


def test_several_speakers_are_tested(tmp_path: Path) -> None:
    root = write_digits(tmp_path)
    said = {
        name: parts(SpokenDigitSpikes(root, test_speaker=name, validation=0))[2]
        for name in ("ann", "bob", "cas")
    }
    data = SpokenDigitSpikes(root, test_speaker=["ann", "cas"], validation=0)
    assert parts(data) == [said["bob"], set(), said["ann"] | said["cas"]]
    data = SpokenDigitSpikes(root, test_speaker=["ann"], validation=["bob"])
    assert parts(data) == [said["cas"], said["bob"], said["ann"]]
    data = SpokenDigitSpikes(root, validation=["ann", "bob"])
    training, validation, test = parts(data)
    assert training < said["cas"]
    assert validation < said["ann"] | said["bob"]
    assert len(test) == 30


def test_only_some_speakers_are_used(tmp_path: Path) -> None:
    root = write_digits(tmp_path)
    others = parts(SpokenDigitSpikes(root, test_speaker="cas", validation=0))[0]
    data = SpokenDigitSpikes(root, speakers=["ann", "bob"], test_speaker="bob", validation=0.1)
    training, validation, test = parts(data)
    assert training | validation | test == others
    assert [len(training), len(validation), len(test)] == [27, 3, 30]
    training, validation, test = parts(SpokenDigitSpikes(root, speakers="cas"))
    assert [len(training), len(validation), len(test)] == [18, 2, 10]
    assert not (training | validation | test) & others


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 150}, "channels: expected a divisor of 700, got 150"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"step_ms": 0}, "step_ms: expected milliseconds above 0, got 0"),
        ({"test_speaker": "ann", "validation": "ann"}, "other speakers than test_speaker, got ann"),
        ({"test_speaker": ["ann", "bob"], "validation": ["bob"]}, "test_speaker, got bob"),
        ({"test_speaker": "anne"}, "test_speaker: unknown name 'anne'. Did you mean 'ann'?"),
        ({"test_speaker": ["ann", "bop"]}, "test_speaker: unknown name 'bop'. Did you mean 'bob'?"),
        ({"test_speaker": ["ann", "bob", "cas"]}, "test_speaker: expected speakers that leave "),
        ({"test_speaker": []}, "test_speaker: expected at least one speaker, got an empty list"),
        ({"validation": "dee"}, "validation: unknown name 'dee'"),
        ({"validation": ["ann", "bob"], "test_speaker": "cas"}, "others to train on, got ann, bob"),
        ({"speakers": ["ann", "eve"]}, "speakers: unknown name 'eve'"),
        ({"speakers": ["ann", "bob"], "test_speaker": "cas"}, "test_speaker: unknown name 'cas'"),
        ({"download": True}, "download: SpokenDigitSpikes has nothing to download"),
    ],
)
def test_bad_arguments(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpokenDigitSpikes(write_digits(tmp_path), **options).setup()


def test_real_digits() -> None:
    root = find_real("fsdd_spikes/fsdd_spikes_train.h5")
    data = SpokenDigitSpikes(str(root), test_speaker="theo", validation="nicolas")
    data.setup()
    for samples, number in ((data._training, 1000), (data._validation, 500), (data._test, 500)):
        assert len(samples) == number
        assert samples.labels.bincount().tolist() == [number // 10] * 10


def write_recordings(root: Path) -> str:
    for digit in range(10):
        for speaker, index in (("ann", 0), ("ann", 5), ("bob", 6), ("bob", 17)):
            name = f"free-spoken-digit-dataset/recordings/{digit}_{speaker}_{index}.wav"
            write_wav(root / name, 0.1, frequency=200 + 100 * digit + index)
    return str(root)


def test_recordings_become_spikes(tmp_path: Path) -> None:
    root = write_recordings(tmp_path)
    data = SpokenDigits(root, steps=20, channels=32, validation=0, batch_size=10)
    sequences, _ = fit(data).seen["train"][0]
    assert sequences.shape == (20, 10, 32)
    assert sequences[:10].sum((0, 2)).min() > 10
    assert sequences[10:].sum() == 0, "after the recording's end"
    data.setup()
    assert [len(part) for part in (data._training, data._test)] == [30, 10]
    assert data._test.labels.tolist() == list(range(10))
    data = SpokenDigits(root, steps=20, test_speaker="bob", validation=0)
    data.setup()
    assert [len(part) for part in (data._training, data._test)] == [20, 20]


def test_recordings_by_other_names(tmp_path: Path) -> None:
    folder = tmp_path / "free-spoken-digit-dataset" / "recordings"
    with pytest.raises(FileNotFoundError, match=r"free-spoken-digit-dataset into the root"):
        SpokenDigits(str(tmp_path)).setup()
    write_wav(folder / "seven.wav")
    with pytest.raises(ValueError, match=r"seven\.wav: expected a name of the form 7_jackson_32"):
        SpokenDigits(str(tmp_path)).setup()


def test_real_recordings() -> None:
    root = find_real("free-spoken-digit-dataset/recordings/9_theo_0.wav")
    folder = root / "free-spoken-digit-dataset" / "recordings"
    paths = sorted(folder.glob("*.wav"))[::100]
    rates = [SpokenDigits(str(root))._counts(path).sum() for path in paths]
    assert 100 < min(rates) < max(rates) < 5000
