"""The trained models of the project load, and do what their cards say."""

import json
from pathlib import Path

import pytest
import torch

import neurodyn

ASSETS = Path(__file__).parent.parent / "assets"
MODELS = sorted(path.parent for path in ASSETS.glob("*/model.safetensors"))


def test_there_are_some():
    table = (ASSETS / "README.md").read_text()
    assert len(MODELS) >= 4
    for folder in MODELS:
        assert f"({folder.name}/README.md)" in table


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_a_model_answers(folder):
    run = neurodyn.load(folder)
    samples = torch.zeros(2, *run.sample_shape, dtype=run.data.dtypes[0])
    answers = run.predict(samples).answers
    assert answers.shape == (2, *run.targets.shape(run.sample_shape[0]))
    told = json.loads((folder / "run.json").read_text())
    assert run.parameters == told["result"]["parameters"]


def test_digits_are_told_as_well_as_the_card_says():
    run = neurodyn.load(ASSETS / "digits-lnm-seed-0")
    images, labels = run.data.read(train=False)
    right = (run.predict(images).answers == labels).double().mean().item()
    assert 100 * right == pytest.approx(run.metrics["accuracy"], abs=0.3)
