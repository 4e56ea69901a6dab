"""A user's folder with a module of their own."""

import sys

import pytest

from neurodyn.training import allowed

MINE = '''
"""Everything of my own."""
import torch
from torch import nn
from neurodyn import LIF, LNM, Learned, Neuron
from neurodyn.data import ImageData
from neurodyn.layers import TimeDistributed
from neurodyn.neurons import NeuronFactory

class TwoState(Neuron):
    """A membrane with a slow current. It adapts."""
    a = Learned(0.5)
    states = ("u", "w")
    def step(self, x, u, w):
        s, u = self.fire(u - self.a * u + x - w)
        return s, u, 0.9 * w + 0.1 * s

class Short(Neuron):
    def step(self, x):
        return self.fire(x)

class Net(nn.Module):
    """A network of my own."""
    def __init__(self, neuron: NeuronFactory = LIF, shape=(1, 8, 8), classes=10, width=16):
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            TimeDistributed(nn.Flatten(), nn.Linear(64, width)),
            neuron((width,)),
            TimeDistributed(nn.Linear(width, classes)),
        )
    def forward(self, x):
        return self.layers(x)

class Data(ImageData):
    """Noise of my own."""
    shape, classes = (1, 8, 8), 2
    mean, std = (0.5,), (0.29,)
    def read(self, train):
        labels = torch.arange(100) % 2
        return torch.randint(0, 255, (100, 1, 8, 8), dtype=torch.uint8), labels

def make(shape):
    return LNM(shape)
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with `mine.py`. What is imported from there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(allowed, "_named", [])
    (tmp_path / "mine.py").write_text(MINE)
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def mine():
    """`mine`, as `--import mine` makes it available."""
    allowed.allow("mine")
    return sys.modules["mine"]
