from __future__ import annotations

import io

import lightning
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from neurodyn.data import Digits
from neurodyn.data.adapted import adapted
from neurodyn.models import SequenceNet
from neurodyn.training.learner import Learner
from tests.data.test_base import fit, trainer


class Foreign(lightning.LightningDataModule):
    """A data module as others write it: samples first, and nothing of ours."""

    def __init__(self, x, y, batch_size=10, **extra):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size
        self.calls: list[str] = []
        vars(self).update(extra)

    def prepare_data(self):
        self.calls.append("prepare")

    def setup(self, stage=None):
        self.calls.append(f"setup {stage}")
        self.set = TensorDataset(self.x, self.y)

    def loader(self, **options):
        return DataLoader(self.set, self.batch_size, **options)

    def train_dataloader(self):
        return self.loader(shuffle=True)

    def val_dataloader(self):
        return self.loader()

    test_dataloader = val_dataloader


X = torch.rand(60, 20, 5)
CLASSES = torch.arange(60) % 3


@pytest.mark.parametrize(
    ("x", "y", "shape", "kind", "outputs", "batch"),
    [
        (X, CLASSES, (5,), "classes", 3, (20, 10, 5)),
        (torch.rand(60, 3, 8, 8), CLASSES, (3, 8, 8), "classes", 3, (10, 3, 8, 8)),
        (torch.rand(60, 7), torch.rand(60), (7,), "values", 1, (10, 7)),
        (X, torch.randint(4, (60, 20)), (5,), "classes", 4, (20, 10, 5)),
        (X, torch.rand(60, 20, 2), (5,), "values", 2, (20, 10, 5)),
    ],
)
def test_batches_of_each_kind(x, y, shape, kind, outputs, batch):
    data = adapted(Foreign(x, y))
    assert (data.shape, data.targets.kind, data.outputs) == (shape, kind, outputs)
    seen = fit(data).seen
    assert seen["train"][0][0].shape == batch
    assert seen["val"][0][0].dtype == torch.float32
    if data.targets.per_step:
        assert seen["train"][0][1].shape[:2] == (20, 10)
    torch.testing.assert_close(
        seen["val"][0][0], x[:10].transpose(0, 1) if data.facts.layout == "sequences" else x[:10]
    )


def test_ours_stay_as_they_are_and_others_are_adapted_once():
    digits, foreign = Digits(), Foreign(X, CLASSES)
    assert adapted(digits) is digits
    assert adapted(foreign) is adapted(foreign)
    assert adapted(adapted(foreign)) is adapted(foreign)


def test_setup_is_asked_for_once_a_stage():
    foreign = Foreign(X, CLASSES)
    data = adapted(foreign)
    assert data.shape == (5,)
    fit(data)
    assert foreign.calls == ["prepare", "setup fit"]


def test_attributes_of_the_module_say_what_is_meant():
    turned = adapted(
        Foreign(torch.rand(20, 10, 5), torch.randint(3, (20, 10)), 20, time_first=True, classes=9)
    )
    turned.module.train_dataloader = lambda: [(turned.module.x, turned.module.y)]
    assert (turned.shape, turned.outputs, turned.targets.per_step) == ((5,), 9, True)
    batch = turned.on_after_batch_transfer(
        turned.on_before_batch_transfer((turned.module.x, turned.module.y), 0), 0
    )
    assert torch.equal(batch[0], turned.module.x)
    assert torch.equal(batch[1], turned.module.y)
    named = adapted(Foreign(X, CLASSES, classes=["a", "b", "c"]))
    assert named.targets.names == ("a", "b", "c")
    assert adapted(Foreign(X, CLASSES, num_classes=7)).outputs == 7
    assert adapted(Foreign(X, CLASSES, task="values")).targets.kind == "values"
    square = torch.rand(60, 8, 8)
    assert adapted(Foreign(square, CLASSES)).facts.layout == "images"
    assert adapted(Foreign(square, CLASSES, layout="sequences")).shape == (8,)


def test_lengths():
    class Padded(Foreign):
        def setup(self, stage=None):
            self.set = TensorDataset(self.x, self.y, torch.arange(60) % 20 + 1)

    data = adapted(Padded(X, torch.randint(3, (60, 20))))
    _, y, lengths = fit(data).seen["val"][0]
    assert torch.equal((y >= 0).sum(0), lengths)
    data = adapted(Padded(torch.rand(60, 8, 8), CLASSES))
    assert data.shape == (8,), "samples with lengths have time"


@pytest.mark.parametrize("fill", [-1, 0, 9])
def test_padding_is_no_target_whatever_stands_there(fill):
    class Padded(Foreign):
        def setup(self, stage=None):
            self.lengths = torch.arange(60) % 20 + 1
            self.y[torch.arange(20) >= self.lengths[:, None]] = fill
            self.set = TensorDataset(self.x, self.y, self.lengths)

    data = adapted(Padded(X, (torch.arange(1200) % 3).reshape(60, 20)))
    assert data.outputs == 3
    assert data.label_counts().sum() == (torch.arange(60) % 20 + 1).sum()
    values = adapted(Padded(X, torch.full((60, 20), 5.0)))
    assert (values.targets.mean, values.targets.std) == ((5.0,), (1.0,))


def test_batches_may_be_of_different_lengths():
    class Ragged(Foreign):
        def train_dataloader(self):
            return [(self.x[:, :t], self.y[:, :t], torch.full((60,), t - 1)) for t in (7, 20, 4)]

    data = adapted(Ragged(X, (torch.arange(1200) % 3).reshape(60, 20)))
    assert (data.outputs, data.label_counts().sum().item()) == (3, 60 * (6 + 19 + 3))
    values = adapted(Ragged(X, torch.rand(60, 20, 2)))
    assert values.targets.kind == "values"


def test_zeros_and_ones_are_judged_by_all_batches():
    y = torch.eye(3)[torch.arange(60) % 3]
    assert adapted(Foreign(X, y)).targets.kind == "classes"
    y[17] = 1
    assert adapted(Foreign(X, y)).targets.kind == "labels"


def order(seed, layers):
    data = adapted(Foreign(X, CLASSES))
    lightning.seed_everything(seed, verbose=False)
    network = SequenceNet(shape=data.shape, classes=data.outputs, widths=(4,) * layers, dropout=0.1)
    seen = []
    learner = Learner(network, data.targets)
    learner.on_train_batch_end = lambda _, batch, index: seen.append(batch[0])
    trainer(max_epochs=2).fit(learner, datamodule=data)
    return torch.cat(seen, 1)


def test_all_networks_see_one_order():
    one = order(0, 1)
    assert torch.equal(one, order(0, 3))
    assert not torch.equal(one, order(1, 1))
    assert not torch.equal(one[:, :60], one[:, 60:]), "each epoch has its own"


def test_asking_for_the_shape_draws_nothing():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert adapted(Foreign(X, CLASSES)).shape == (5,)
    assert torch.equal(torch.rand(3), expected)


def test_state_and_validation():
    data = adapted(Foreign(X, CLASSES))
    file = io.BytesIO()
    torch.save(data.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    bare = adapted(Foreign(None, None))
    bare.load_state_dict(state)
    assert (bare.shape, bare.targets) == (data.shape, data.targets)
    assert bare.as_input(X[:4]).shape == (20, 4, 5)
    assert data.validation == 1
    assert adapted(lightning.LightningDataModule()).validation == 0
    assert data.fingerprint() is None
    assert data.label_counts().tolist() == [20, 20, 20]
    with pytest.raises(ValueError, match="files: Foreign does not say how it reads files"):
        data.read_files(["a.png"])


def test_a_test_set_after_a_checkpoint_was_loaded():
    whole, data = adapted(Foreign(X, CLASSES)), adapted(Foreign(X, CLASSES))
    data.load_state_dict(whole.state_dict())
    data.setup("test")
    _, labels = data.on_before_batch_transfer(next(iter(data.test_dataloader())), 0)
    assert labels.tolist() == CLASSES[:10].tolist()
    assert data.label_counts().tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": X}, r"Foreign: found batches in a dict, expected \(x, y\)"),
        ((X, CLASSES, CLASSES, CLASSES), "found batches in a tuple"),
        (([1], CLASSES), "Foreign: found samples in a list, expected a tensor"),
    ],
)
def test_errors(batch, message):
    foreign = Foreign(X, CLASSES)
    foreign.train_dataloader = lambda: [batch]
    with pytest.raises(ValueError, match=message):
        _ = adapted(foreign).shape
