"""What the script gets of samples, for every kind of target and of input."""

import base64

import numpy as np
import pytest
import torch

from neurodyn.data.targets import UNLABELLED, Targets
from neurodyn.report.probe import Layer, Probe
from neurodyn.report.sections.samples import NOTHING, _run
from neurodyn.training.predictions import Predictions

T = 4


def octets(text):
    return list(base64.b64decode(text))


def probed(targets, scores, wanted, *, x=None, values=None, lengths=(T, T), signal=None):
    """Two samples and one layer of two neurons; the first one fires at every step."""
    spikes = torch.zeros(T, 2, 2)
    spikes[:, :, 0] = 1
    layer = Layer("layer 1, 2 neurons", spikes, [0], torch.arange(8.0).view(T, 2, 1), [3.0], 0.5)
    answers = Predictions.of(targets, scores, scores if values is None else values)
    x = torch.zeros(T, 2, 1) if x is None else x
    return Probe(x, True, [0, 5], wanted, list(lengths), signal, answers, [layer])


def test_one_class():
    scores = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    found = _run(
        probed(Targets("classes", 2, names=("up", "down")), scores, torch.tensor([0, 1])), 2
    )
    assert found["labels"] == ["test sample 1, class up", "test sample 6, class down"]
    assert found["answers"] == [
        "answer up (probability 0.88), right",
        "answer up (probability 0.88), wrong: it is down",
    ]
    assert found["strips"] is None
    (layer,) = found["layers"]
    assert base64.b64decode(layer["spikes"][0]) == b"\xaa"
    (curve,) = layer["traces"][0]
    assert (curve["low"], curve["high"], curve["mark"]) == (0.0, 6.0, 0.5)
    assert octets(curve["y"]) == [0, 85, 170, 255]


def test_a_class_at_every_step():
    scores = torch.zeros(2, T, 3)
    scores[:, :, 2] = 1
    wanted = torch.tensor([[2, 2, UNLABELLED, 0]] * 2)
    found = _run(probed(Targets("classes", 3, per_step=True), scores, wanted, lengths=(4, 3)), 2)
    assert found["answers"] == [
        "66.7 % of 3 labelled steps are right",
        "100.0 % of 2 labelled steps are right",
    ]
    assert octets(found["strips"][0]["true"]) == [2, 2, NOTHING, 0]
    assert octets(found["strips"][1]["answer"]) == [2, 2, 2], "padding is left out"
    assert found["steps"] == [4, 3]


@pytest.mark.parametrize("kind", ["labels", "values"])
@pytest.mark.parametrize("per_step", [False, True])
def test_labels_and_values(kind, per_step):
    shape = (2, T, 2) if per_step else (2, 2)
    wanted = torch.ones(shape)
    wanted[0, 0] = float("nan")
    found = _run(probed(Targets(kind, 2, per_step), torch.full(shape, 0.25), wanted), 1)
    assert len(found["answers"]) == 1
    if not per_step:
        told = "1 1" if kind == "labels" else "0.25 0.25"
        assert found["answers"][0].startswith(f"answer {told}, true ")
        return
    (strip,) = found["strips"]
    assert strip["kind"] == kind
    if kind == "values":
        assert (strip["rows"][0]["low"], strip["rows"][0]["high"]) == (0.25, 1.0)
        assert octets(strip["rows"][0]["answer"]) == [0] * T
        assert octets(strip["rows"][0]["true"]) == [0, 255, 255, 255]


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (torch.rand(T, 2, 1), "curves"),
        (torch.rand(T, 2, 20), "heat"),
        (torch.ones(T, 2, 20), "raster"),
        (torch.rand(T, 2, 3, 5, 6), "image"),
        (torch.rand(T, 2, 2, 5, 6), "image"),
    ],
)
def test_inputs(x, kind):
    scores = torch.zeros(2, 2)
    found = _run(probed(Targets("classes", 2), scores, torch.zeros(2).long(), x=x), 1)["inputs"][0]
    assert found["kind"] == kind
    if kind == "image":
        assert (found["h"], found["w"], found["channels"]) == (5, 6, 3 if x.shape[2] == 3 else 1)
    if kind == "heat":
        assert (found["h"], found["w"]) == (20, T)


def test_a_signal_is_drawn_for_the_input():
    signal = [torch.arange(2.0 * T).view(T, 2)] * 2
    made = probed(Targets("classes", 2), torch.zeros(2, 2), torch.zeros(2).long(), signal=signal)
    found = _run(made, 1)["inputs"][0]
    assert found["title"].startswith("signal")
    assert [octets(row["y"]) for row in found["rows"]] == [[0, 85, 170, 255]] * 2
    assert np.allclose([found["rows"][1]["low"], found["rows"][1]["high"]], [1, 7])
