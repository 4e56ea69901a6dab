"""Tasks: losses by hand, metrics by hand, and a training of each kind."""

import math

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from neurodyn import LIF, LNM
from neurodyn.data import SequenceData
from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.layers import Membrane
from neurodyn.models import SequenceNet
from neurodyn.training.learner import Learner
from neurodyn.training.tasks import TASKS, make_task

STEPS, FEATURES, OUTPUTS = 12, 5, 3


class Sequences(SequenceData):
    """Random sequences of random lengths, with targets that can be learned from them."""

    shape, steps, dtypes = (FEATURES,), STEPS, (torch.float32,)

    def __init__(self, targets, padding=0, lengths=True, **options):
        super().__init__(batch_size=16, validation=16, **options)
        self.targets, self.lengths, self.steps = targets, lengths, STEPS + padding

    targets = Targets("classes", OUTPUTS)

    def read(self, train):
        rng = torch.Generator().manual_seed(int(train))
        x = torch.randn(64, STEPS, FEATURES, generator=rng)
        lengths = torch.randint(3, STEPS + 1, (64,), generator=rng)
        lengths[0] = STEPS
        if not self.lengths:
            lengths = torch.full((64,), STEPS)
        valid = torch.arange(STEPS) < lengths[:, None]
        course = x[..., :OUTPUTS].cumsum(1)
        y = course if self.targets.per_step else (course * valid[..., None]).sum(1)
        if self.targets.kind == "classes":
            y = y.argmax(-1)
        elif self.targets.kind == "labels":
            y = (y > 0).float()
        extra = self.steps - STEPS
        noise = 100 * torch.randn(64, extra, FEATURES, generator=rng)
        x = torch.cat([torch.where(valid[..., None], x, 7.0 + extra), noise], 1)
        if self.targets.per_step:
            y = torch.cat([y, y[:, :1].expand(64, extra, *y.shape[2:])], 1)
        return (x, y, lengths) if self.lengths else (x, y)


def trainer(**options):
    quiet = ("enable_progress_bar", "enable_model_summary", "logger", "enable_checkpointing")
    return L.Trainer(accelerator="cpu", max_epochs=2, **dict.fromkeys(quiet, False), **options)


def trained(data, **options):
    L.seed_everything(0, verbose=False)
    network = SequenceNet(LNM, shape=(FEATURES,), classes=OUTPUTS, widths=(16,), dropout=0.0)
    learner = Learner(network, data.targets, **options)
    run = trainer()
    run.fit(learner, data)
    (scores,) = run.test(learner, data, verbose=False)
    return learner, scores


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("kind", TASKS)
def test_every_task_trains_and_is_tested(kind, per_step, lengths):
    data = Sequences(Targets(kind, OUTPUTS, per_step=per_step), lengths=lengths)
    learner, scores = trained(data)
    main = learner.task.main
    assert scores["test_score"] == scores[f"test_{main}"]
    assert torch.isfinite(torch.tensor(list(scores.values()))).all()
    if kind == "classes":
        rows = 64 if not per_step else int(data._test.lengths.sum()) if lengths else 64 * STEPS
        assert learner.confusion.compute().sum() == rows


@pytest.mark.parametrize("readout", [None, "leaky"])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("kind", TASKS)
def test_padding_changes_nothing(kind, per_step, readout):
    readout = readout and ("membrane" if per_step else readout)
    asked = Targets(kind, OUTPUTS, per_step=per_step)
    (one, scores), (two, padded) = (
        trained(Sequences(asked, padding=extra), readout=readout) for extra in (0, 9)
    )
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, msg=name)
    assert padded == pytest.approx(scores)
    assert scores["sops"] > 0


def test_the_score_of_a_padded_sequence_is_that_of_the_sequence_alone():
    data = Sequences(Targets("classes", OUTPUTS))
    learner, _ = trained(data, readout="leaky-max")
    learner.eval()
    x, _, lengths = data.prepared(next(iter(data.test_dataloader())))
    with torch.no_grad(), learner.padding(x, lengths):
        scores = learner.task.readout(learner(x))
    for i, length in enumerate(lengths.tolist()):
        alone = learner.task.readout(learner(x[:length, i : i + 1]))
        torch.testing.assert_close(scores[i : i + 1], alone)


def test_classes_per_step_by_hand():
    task = make_task(Targets("classes", 3, per_step=True, default=0), label_smoothing=0.1)
    outputs = torch.randn(4, 2, 3)
    targets = torch.tensor([[0, 1], [2, UNLABELLED], [1, 1], [UNLABELLED, 0]])
    known = targets != UNLABELLED
    expected = F.cross_entropy(outputs[known], targets[known], label_smoothing=0.1)
    torch.testing.assert_close(task.loss(outputs, targets), expected)
    metrics = nn.ModuleDict(task.metrics())
    task.update(metrics, outputs, targets)
    right = outputs.argmax(-1) == targets
    assert metrics["accuracy"].compute() == pytest.approx(right[known].float().mean().item())
    counted = outputs.argmax(-1) == targets.clamp(min=0)
    assert metrics["accuracy_all"].compute() == pytest.approx(counted.float().mean().item())
    nothing = torch.full_like(targets, UNLABELLED)
    assert task.loss(outputs.requires_grad_(), nothing) == 0


def test_values_by_hand():
    asked = Targets("values", 2, mean=(10.0, 0.0), std=(2.0, 1.0))
    outputs = torch.randn(4, 3, 2)
    targets = torch.tensor([[8.0, 1.0], [12.0, torch.nan], [10.0, -1.0]])
    known = ~targets.isnan()
    scores = outputs.mean(0)
    answers = scores * torch.tensor([2.0, 1.0]) + torch.tensor([10.0, 0.0])
    for name, measure in (("mse", F.mse_loss), ("mae", F.l1_loss), ("huber", F.smooth_l1_loss)):
        task = make_task(asked, loss=name)
        wanted = (targets - torch.tensor([10.0, 0.0])) / torch.tensor([2.0, 1.0])
        expected = measure(scores[known], wanted[known])
        torch.testing.assert_close(task.loss(outputs, targets), expected)
    torch.testing.assert_close(task.answer(scores), answers)
    metrics = nn.ModuleDict(task.metrics())
    task.update(metrics, scores[:2], targets[:2])
    task.update(metrics, scores[2:], targets[2:])
    shares, errors = [], []
    for i in range(2):
        wanted, got = targets[known[:, i], i], answers[known[:, i], i]
        shares.append(1 - (wanted - got).square().sum() / (wanted - wanted.mean()).square().sum())
        errors.append((wanted - got).abs().mean())
    torch.testing.assert_close(metrics["r2"].compute(), torch.stack(shares).mean())
    torch.testing.assert_close(metrics["mae"].compute(), torch.stack(errors).mean())


def test_a_value_that_is_rarely_known():
    x, y = torch.randn(4, 8, FEATURES), torch.randn(8, 2)
    rare = y.clone()
    rare[:, 1] = torch.nan
    learner = Learner(SequenceNet(LIF, shape=(FEATURES,), classes=2), Targets("values", 2))
    run = trainer()
    batches = [(x, rare), (x, rare), (x, y)]
    run.fit(learner, DataLoader(batches, None), DataLoader(batches, None))
    assert "val_score" in run.callback_metrics
    with pytest.raises(ValueError, match="value 1 is known for fewer than two of the samples"):
        run.validate(learner, DataLoader(batches[:1], None), verbose=False)


def test_labels_by_hand():
    task = make_task(Targets("labels", 2))
    outputs = torch.tensor([[[2.0, -1.0], [0.5, 3.0]]])
    targets = torch.tensor([[1.0, 1.0], [torch.nan, 0.0]])
    known = ~targets.isnan()
    expected = F.binary_cross_entropy_with_logits(outputs[0][known], targets[known])
    torch.testing.assert_close(task.loss(outputs, targets), expected)
    metrics = nn.ModuleDict(task.metrics())
    task.update(metrics, outputs[0], targets)
    assert metrics["f1"].compute() == pytest.approx(0.5), "1 of one label, 0 of the other"


@pytest.mark.parametrize("loss", ["cross-entropy", "tet"])
def test_class_weights(loss):
    outputs, labels = torch.randn(1, 4, 3), torch.tensor([0, 0, 1, 2])
    task = make_task(Targets("classes", 3), loss=loss, class_weights=[1, 2, 3])
    found = task.loss(outputs, labels)
    entropy = F.cross_entropy(outputs[0], labels, torch.tensor([1.0, 2.0, 3.0]))
    distance = (outputs - 1).square().mean()
    expected = entropy if loss == "cross-entropy" else 0.95 * entropy + 0.05 * distance
    torch.testing.assert_close(found, expected)


def test_balanced_weights_are_counted_in_the_training_set():
    data = Sequences(Targets("classes", OUTPUTS, per_step=True))
    learner, _ = trained(data, class_weights="balanced")
    counts = data.label_counts()
    valid = int(data._training.lengths[data._training.rows].sum())
    assert counts.sum() == valid
    torch.testing.assert_close(learner.task.class_weights, valid / (OUTPUTS * counts.float()))


def test_a_loss_of_ones_own_gets_the_rows_that_have_a_target():
    seen = []

    class Mine(nn.Module):
        def forward(self, scores, targets):
            seen.append((scores.shape, targets.shape))
            return scores.sum()

    data = Sequences(Targets("classes", OUTPUTS, per_step=True))
    trained(data, loss=Mine())
    scores, targets = seen[0]
    assert scores == (*targets, OUTPUTS)
    trained(Sequences(Targets("values", OUTPUTS)), loss=nn.HuberLoss(delta=0.5))


def test_leaky_integrators_give_their_membranes():
    readout, outputs = Membrane(2, decay=0.8), torch.randn(5, 3, 2)
    y, expected = torch.zeros(3, 2), []
    for o in outputs:
        y = 0.8 * y + 0.2 * o
        expected.append(y)
    torch.testing.assert_close(readout(outputs), torch.stack(expected))


def test_options_that_do_not_fit_the_task():
    values, steps = Targets("values", 2), Targets("classes", 3, per_step=True)
    network = SequenceNet(LIF, shape=(FEATURES,), classes=2)
    for asked, options, message in [
        (values, {"loss": "tet"}, "loss of values: unknown name 'tet'.*Known: huber, mae, mse"),
        (values, {"class_weights": [1.0, 2.0]}, "class_weights: the data have values"),
        (values, {"label_smoothing": 0.1}, "label_smoothing: only a cross-entropy has it"),
        (Targets("labels", 2), {"class_weights": "balanced"}, "expected numbers for labels"),
        (steps, {"readout": "mean"}, "a target at every step; expected one of each, membrane"),
        (steps, {"loss": "tet"}, "loss: TET is for one class of a whole sequence"),
        (
            steps,
            {"class_weights": [-1.0, 1.0, 1.0]},
            "class_weights: expected numbers of 0 or more",
        ),
        (steps, {"class_weights": [0.0, 0.0, 0.0]}, "class_weights: expected numbers of 0 or more"),
        (steps, {"class_weights": [1.0, math.nan, 1.0]}, "class_weights: expected numbers of 0 or"),
        (steps, {"class_weights": [1.0]}, "class_weights: expected 3 numbers, got 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            Learner(network, asked, **options)
