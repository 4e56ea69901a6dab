"""A surrogate of a cell with many compartments, from its published files to predictions."""

import lightning as L
import pytest
import torch

pytest.importorskip("neuralop")
from neurodyn.biophysics.allen import AllenCell
from neurodyn.biophysics.noble import FamilyData, Noble, Steps, Surrogate
from neurodyn.biophysics.noble.scores import predicted, scores
from tests.biophysics.test_allen import MODEL, published

EMBED = {"amplitude": 2, "slope": 1, "threshold": 1}


@published
@pytest.mark.slow
def test_a_surrogate_learns_variations_of_the_published_cell(monkeypatch):
    pytest.importorskip("neuron")
    pytest.importorskip("efel")
    L.seed_everything(0)
    family = AllenCell(MODEL).vary(0.1, models=3, held_out=1)
    threshold, slope = family.features.T
    assert ((threshold > 0.05) & (threshold < 0.3)).all()
    assert ((slope > 20) & (slope < 2000)).all()
    steps = Steps((-0.1, 0.4), mode=0.2, start=5.0, duration=60.0, window=80.0, jitter=5.0)
    data = FamilyData(family, steps, traces=40, tests=8, validation=8, batch_size=4)
    network = Surrogate(modes=128, width=16, layers=3, embed=EMBED, unit=0.1)
    noble = Noble(network, lr=0.005, schedule="cosine")
    trainer = L.Trainer(
        max_epochs=100,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(noble, data)

    unseen, held_out = data.part("unseen currents"), data.part("held-out models")
    monkeypatch.setattr(AllenCell, "simulate", None)
    training = data.part("training")  # From the cache.
    assert (unseen.V > 0).any()
    assert set(held_out.model.tolist()) == {2}
    noble.eval()
    for traces, share in ((training, 0.3), (unseen, 0.8)):
        found = scores(predicted(network, traces), traces)
        constant = scores(torch.full_like(traces.V.T, training.V.mean()), traces)
        assert found.voltage < share * constant.voltage
        assert found.missed < found.firing
    assert predicted(network, held_out).isfinite().all()
