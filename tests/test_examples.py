"""The examples run."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from neurodyn.data.formats.cochlea import Cochlea
from neurodyn.layers import Delayed, SoftmaxSum
from neurodyn.models import SequenceNet

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("chunk_ms", [7, 100])
def test_listening_in_chunks_comes_to_what_one_call_gives(chunk_ms):
    pytest.importorskip("scipy")
    cochlea = Cochlea(8000, channels=8)
    net = SequenceNet(Delayed, shape=(4,), classes=10, widths=(6,))
    model = nn.Sequential(net, SoftmaxSum(10))
    sound = 0.1 * np.random.default_rng(0).standard_normal(4000)
    spikes = torch.from_numpy(cochlea(sound)).float().reshape(-1, 1, 4, 2).sum(-1)
    assert spikes.sum() > 20
    model(spikes.expand(-1, 2, -1))  # sets the statistics
    with torch.no_grad():
        heard = list(example("stream_digits").listen(model.eval(), sound, cochlea, 4, chunk_ms))
        torch.testing.assert_close(heard[-1][1], model(spikes))
    seconds = [second for second, _ in heard]
    assert seconds == sorted(seconds)
    assert 0.49 < seconds[-1] <= 0.5


@pytest.mark.parametrize("once", [True, False])
def test_digits_by_the_first_spike_are_learned_and_converted(once):
    digits = pytest.importorskip("sklearn.datasets").load_digits(n_class=4)
    images, labels = torch.tensor(digits.data / 16), torch.tensor(digits.target)
    first_spikes = example("first_spikes")
    torch.manual_seed(0)
    net = first_spikes.network(24, once=once)
    first_spikes.train(net, images[:500], labels[:500], 4)
    with torch.no_grad():
        answers = first_spikes.scores(net, images[500:]).argmax(1)
        assert (answers == labels[500:]).double().mean() > 0.6
        there, back = first_spikes.convert(net, images[500:])
        assert there.once is not once
        assert there.neurons > net.neurons == back.neurons
        for twin in (there, back):
            assert torch.equal(first_spikes.scores_of_copies(twin, images[500:]).argmax(1), answers)
