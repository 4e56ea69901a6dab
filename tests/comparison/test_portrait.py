"""The pictures of a run: which ones there are for which network and data."""

import pytest
import torch

from neurodyn import LIF, Planar
from neurodyn.comparison.portrait import FirstSample, Portrait
from neurodyn.models import ConvNet, SequenceNet
from neurodyn.training.learner import Learner


def kept(network, *batch):
    """What is kept of a test batch."""
    first, module = FirstSample(), Learner(network, 2)
    first.on_test_batch_start(None, module, batch, 0)
    first.on_test_batch_start(None, module, tuple(torch.zeros_like(part) for part in batch), 1)
    return first.x


def test_the_first_sample_of_the_test_set():
    sequences, y = torch.randn(9, 4, 3), torch.zeros(4)
    network = SequenceNet(shape=(3,), classes=2, widths=(5,))
    assert torch.equal(kept(network, sequences, y), sequences[:, :1])
    assert torch.equal(kept(network, sequences, y, torch.tensor([6, 9, 2, 1])), sequences[:6, :1])
    images = torch.randn(4, 1, 8, 8)
    network = ConvNet(shape=(1, 8, 8), classes=2, widths=(4,))
    assert torch.equal(kept(network, images, y), images[:1])


@pytest.mark.parametrize("kind", ["one state", "two states", "images", "no neuron"])
def test_what_is_drawn(tmp_path, kind):
    if kind == "images":
        network, x = ConvNet(shape=(1, 8, 8), classes=2, widths=(4,)), torch.randn(1, 1, 8, 8)
    elif kind == "no neuron":
        network, x = torch.nn.Flatten(2), torch.randn(5, 1, 2)
    else:
        neuron = LIF if kind == "one state" else Planar
        network = SequenceNet(neuron, shape=(3,), classes=2, widths=(5,))
        x = torch.randn(9, 1, 3)
    module = Learner(network, 2).eval()
    portrait = Portrait(module, tmp_path, "lif, seed 0")
    portrait.draw({}, x)
    drawn = {path.stem for path in tmp_path.iterdir()}
    expected = {"confusion"} if kind == "no neuron" else {"confusion", "dynamics", "raster"}
    assert drawn == expected
    assert portrait.before is not network


def test_a_run_is_drawn_as_it_answers(tmp_path):
    network = SequenceNet(LIF, shape=(3,), classes=2, widths=(5,), dropout=0.5)
    Portrait(Learner(network, 2).train(), tmp_path, "").draw({}, torch.randn(1, 1, 3))
    assert not network.training
    assert int(network.body[1][1].num_batches_tracked) == 0, "the sample is not a training batch"
