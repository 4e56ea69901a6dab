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
