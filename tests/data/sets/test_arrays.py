from __future__ import annotations

import io

import lightning
import numpy as np
import pytest
import torch

from neurodyn.data import ImageAugment, SpikeAugment, TensorData
from neurodyn.data.arrays import Part
from neurodyn.data.facts import tell
from neurodyn.layers import padded
from neurodyn.models import SequenceNet
from neurodyn.training.learner import Learner
from tests.data.test_base import fit, trainer

RNG = np.random.default_rng(0)
CLASSES = np.arange(60) % 3


def first(data, part="train"):
    data.setup()
    return data.prepared(next(iter(getattr(data, f"{part}_dataloader")())))


def saved(data):
    """The state as a checkpoint gives it back."""
    file = io.BytesIO()
    torch.save(data.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint8, np.int64, bool])
@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((60, 8, 8), (1, 8, 8)),
        ((60, 3, 8, 6), (3, 8, 6)),
        ((60, 8, 6, 3), (3, 8, 6)),
        ((60, 20, 5), (20, 5)),
        ((60, 4, 2, 6, 6), (4, 2, 6, 6)),
        ((60, 7), (7,)),
    ],
)
def test_samples_of_each_kind(dtype, shape, seen):
    x = RNG.integers(0, 2, shape).astype(dtype)
    data = TensorData(x, CLASSES, batch_size=12)
    samples, labels = first(data)
    assert samples.dtype == torch.float32
    timed = data.steps is not None
    assert samples.shape == ((seen[0], 12, *seen[1:]) if timed else (12, *seen))
    assert labels.shape == (12,)
    assert data.shape == (seen[1:] if timed else seen)
    assert torch.equal(first(TensorData(torch.from_numpy(x), CLASSES, batch_size=12))[0], samples)


def test_images_are_standardised_by_the_training_set():
    x = RNG.integers(0, 256, (60, 3, 4, 4), dtype=np.uint8)
    data = TensorData(x, CLASSES, x[:9], CLASSES[:9])
    assert data.facts.peak == 255
    scaled = x.astype(np.float64) / 255
    np.testing.assert_allclose(data.facts.mean, scaled.mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(data.facts.std, scaled.std((0, 2, 3)), rtol=1e-9)
    whole = data.as_input(torch.from_numpy(x))
    torch.testing.assert_close(whole.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)


def test_a_test_set_is_set_aside_stratified_and_told(capsys):
    tell.cache_clear()
    data = TensorData(RNG.random((60, 7)), CLASSES, validation=9)
    data.setup()
    assert data._test.labels.bincount().tolist() == [4, 4, 4]
    assert data._validation.labels.bincount().tolist() == [3, 3, 3]
    rows = [set(part.rows.tolist()) for part in (data._training, data._validation, data._test)]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 60
    again = TensorData(RNG.random((60, 7)), CLASSES, validation=9)
    again.setup()
    assert torch.equal(again._test.rows, data._test.rows)
    assert "12 of 60 samples are set aside" in capsys.readouterr().err
    other = TensorData(RNG.random((60, 7)), CLASSES, split_seed=1)
    other.setup()
    assert not torch.equal(other._test.rows, data._test.rows)


def test_statistics_leave_out_the_test_samples():
    x = np.zeros((60, 2))
    data = TensorData(x, CLASSES, standardise=True)
    data.setup()
    x[data._test.rows] = 1e3
    again = TensorData(x, CLASSES, standardise=True)
    assert again.facts.mean == (0, 0)


def test_no_test_set():
    data = TensorData(RNG.random((60, 7)), CLASSES, test=0)
    data.setup("fit")
    assert len(data._training) + len(data._validation) == 60
    with pytest.raises(ValueError, match="there is no test set, as test is 0"):
        data.setup("test")


def test_values_are_scaled_by_the_training_set():
    y = RNG.normal(5, 3, (60, 2))
    data = TensorData(RNG.random((60, 7)), y, RNG.random((9, 7)), y[:9])
    np.testing.assert_allclose(data.targets.mean, y.mean(0), rtol=1e-5)
    np.testing.assert_allclose(data.targets.std, y.std(0), rtol=1e-5)


def test_time_first():
    x, y = RNG.random((60, 20, 5)), RNG.integers(0, 3, (60, 20))
    batch = first(TensorData(x, y, batch_size=12))
    turned = first(TensorData(x.swapaxes(0, 1), y.T, time_first=True, batch_size=12))
    assert all(torch.equal(a, b) for a, b in zip(batch, turned, strict=True))
    assert batch[1].shape == (20, 12)


def test_a_mask_is_the_same_as_lengths():
    x, lengths = RNG.random((60, 20, 5)), RNG.integers(1, 21, 60)
    mask = np.arange(20) < lengths[:, None]
    batch = first(TensorData(x, CLASSES, lengths=lengths))
    masked = first(TensorData(x, CLASSES, mask=mask))
    assert all(torch.equal(a, b) for a, b in zip(batch, masked, strict=True))
    assert len(batch[0]) == batch[2].max()


@pytest.mark.parametrize("per_step", [False, True])
def test_more_padding_changes_nothing(per_step):
    """Losses, weights and running statistics of a training, tdBN's too."""
    lengths = RNG.integers(3, 11, 60)
    x = RNG.random((60, 10, 5)).astype(np.float32)
    y = RNG.integers(0, 3, (60, 10)) if per_step else CLASSES
    found = []
    for extra, filling in ((0, 0), (7, np.nan)):
        wide = np.full((60, 10 + extra, 5), filling, np.float32)
        wide[:, :10] = x
        wide[np.arange(10 + extra) >= lengths[:, None]] = filling
        target = np.pad(y, ((0, 0), (0, extra))) if per_step else y
        data = TensorData(
            wide, target, lengths=lengths, batch_size=16, standardise=True, layout="sequences"
        )
        lightning.seed_everything(3, verbose=False)
        network = SequenceNet(shape=(5,), classes=3, widths=(8, 8))
        learner = Learner(network, data.targets)
        run = trainer(max_epochs=2, logger=False)
        run.fit(learner, datamodule=data)
        found.append((run.callback_metrics, network.state_dict()))
    (metrics, state), (more, wider) = found
    for key in metrics:
        torch.testing.assert_close(metrics[key], more[key], atol=1e-6, rtol=1e-6)
    for key in state:
        torch.testing.assert_close(state[key], wider[key], atol=1e-6, rtol=1e-6)


def test_padding_is_left_out_by_the_norm():
    data = TensorData(RNG.random((60, 10, 5)), CLASSES, lengths=np.arange(60) % 10 + 1)
    x, _, lengths = first(data)
    network = SequenceNet(shape=(5,), classes=3, widths=(8,)).train()
    with padded(lengths, len(x)) as valid:
        network(x)
    assert not valid.all()
    norm = network.body[1][1]
    alone = x[valid] @ network.body[1][0].weight.T
    expected = norm.momentum * alone.mean(0)
    torch.testing.assert_close(norm.running_mean, expected, atol=1e-5, rtol=1e-5)


def test_a_state_is_enough_for_new_samples():
    x = RNG.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    y = np.array(["cat", "dog", "cow"])[CLASSES]
    data = TensorData(x, y)
    state = saved(data)
    bare = TensorData(x[:0], y[:0])
    bare.load_state_dict(state)
    assert (bare.shape, bare.outputs, bare.targets) == (data.shape, 3, data.targets)
    assert bare.targets.names == ("cat", "cow", "dog")
    new = torch.from_numpy(bare.new_samples(Part(x[:5]), "new").x)
    assert torch.equal(bare.as_input(new), data.as_input(new))
    with pytest.raises(ValueError, match=r"new: found shape \(5, 2, 2\), expected \(N, 3, 4, 4\)"):
        bare.new_samples(Part(np.zeros((5, 2, 2))), "new")


def test_a_state_does_not_replace_the_samples():
    data = TensorData(RNG.random((60, 7)), CLASSES, standardise=True)
    other = TensorData(5 + RNG.random((60, 7)), CLASSES, standardise=True)
    other.load_state_dict(saved(data))
    other.setup()
    assert other.facts == data.facts
    assert first(other)[0].mean() > 5


def test_augmentation():
    images = TensorData(RNG.random((60, 8, 8)), CLASSES, augment=ImageAugment(cutout=4))
    assert not torch.equal(fit(images).seen["train"][0][0], first(images)[0])
    spikes = RNG.integers(0, 2, (60, 20, 5), dtype=np.uint8)
    mixed = TensorData(spikes, CLASSES, augment=SpikeAugment(cutmix=1.0))
    assert fit(mixed).seen["train"][0][1].shape[1:] == (3,)
    silenced = SpikeAugment(time_mask=1.0, time_mask_steps=15)
    short = TensorData(spikes, CLASSES, lengths=np.full(60, 6), augment=silenced)
    assert fit(short).seen["train"][0][0].shape[0] == 6


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ((60, 7), {"augment": SpikeAugment()}, "augment: expected none for rows, got SpikeAug"),
        ((60, 9, 5), {"augment": ImageAugment()}, "augment: expected SpikeAugment for sequences"),
        ((60, 8, 8), {"augment": ImageAugment(crop=8)}, "crop: expected a number from 0 to 7"),
        (
            (60, 9, 5),
            {"augment": SpikeAugment(stretch=0.1), "lengths": np.full(60, 3)},
            "stretch: it moves steps, which samples of different lengths do not allow",
        ),
        ((60, 9, 5), {"lengths": np.full(60, 12)}, "lengths from 12 to 12, expected .* 1 to 9"),
        ((60, 9, 5), {"lengths": np.full(9, 3)}, r"found lengths of shape \(9,\)"),
        ((50, 7), {}, "found 50 samples and 60 labels$"),
        ((9, 60, 5), {}, "found 9 samples and 60 labels; .* set time_first to true"),
        ((60, 9, 5), {"time_first": True}, "found 9 samples and 60 labels; .* time_first to false"),
        ((60, 7), {"test": 60}, "test: 60 sets 60 of 60 samples aside, .* give more samples"),
        ((60, 7), {"test": -1}, "test: expected a share from 0 to below 1 or a whole number"),
        ((60, 9, 5), {"mask": np.ones((60, 9)), "lengths": np.full(60, 3)}, "mask: .* got both"),
        ((60, 7), {"x_test": np.zeros((5, 7))}, r"test set\): found no targets y"),
        ((60, 7), {"y_test": np.zeros(5)}, "expected x_test"),
    ],
)
def test_errors(x, options, message):
    with pytest.raises(ValueError, match=message):
        TensorData(RNG.random(x), CLASSES, **options).setup()


def test_a_test_set_of_another_shape():
    data = TensorData(RNG.random((60, 7)), CLASSES, RNG.random((9, 6)), CLASSES[:9])
    with pytest.raises(
        ValueError, match=r"test set\): found samples of shape \(6,\).*expected \(7"
    ):
        data.setup("test")


def test_nan_names_the_sample():
    x = RNG.random((60, 7))
    x[41, 3] = np.nan
    with pytest.raises(ValueError, match=r"TensorData \(training set\): found NaN .* in sample 41"):
        TensorData(x, CLASSES).setup()


def test_fingerprints_follow_the_content():
    x = RNG.random((60, 7))
    one = TensorData(x, CLASSES).fingerprint()
    assert one == TensorData(x.copy(), CLASSES, batch_size=3).fingerprint()
    x[3, 3] += 1e-9
    assert one != TensorData(x, CLASSES).fingerprint()


def test_static_rows_are_shown_at_every_step():
    data = TensorData(RNG.random((60, 7)), CLASSES, batch_size=16)
    learner = Learner(SequenceNet(shape=(7,), classes=3, widths=(8,)), data.targets, timesteps=5)
    data.setup()
    x, _ = data.prepared(next(iter(data.train_dataloader())))
    assert learner(x).shape == (5, 16, 3)
