"""Operations and words of one update of a neuron."""

import pytest

from neurodyn import neurons as room
from neurodyn.analysis import operations
from neurodyn.analysis.updates import words
from neurodyn.layers import Delayed, Recurrent, SpikGRU
from neurodyn.neurons import IF, LIF, LNM, PLIF, QIF, AdLIF, Neuron


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [(IF(), (0, 1)), (LIF(), (1, 1)), (PLIF(), (1, 1)), (QIF(), (2, 2)), (LNM(), (3, 3))],
)
def test_operations_of_the_paper(neuron, expected):
    assert operations(neuron) == expected


@pytest.mark.parametrize("per", ["layer", "neuron"])
def test_operations_of_any_step(per):
    class Mine(Neuron):
        def step(self, x, u):
            return self.fire(0.5 * u + x + 0.1 * u * u)

    assert operations(Mine(7, per=per)) == (3, 2)


COUNTS = {
    "ALIF": (3, 3),
    "AdLIF": (4, 4),
    "BRF": (6, 6),
    "Modal": (12, 9),
    "Planar": (5, 3),
    "CLIF": (3, 3),
    "CubaLIF": (2, 2),
    "DecayLIF": (1, 1),
    "EIF": (3, 2),
    "GLIF": (1, 2),
    "IF": (0, 1),
    "Izhikevich": (4, 5),
    "KLIF": (1, 1),
    "LIF": (1, 1),
    "LNM": (3, 3),
    "MultiTimescale": (3, 4),
    "PLIF": (1, 1),
    "QIF": (2, 2),
    "Rational": (6, 6),
    "Spline": (1, 2),
    "TanhNet": (9, 11),
}


def test_operations_of_every_neuron():
    neurons = {name: getattr(room, name) for name in room.__all__}
    found = {
        name: operations(cls())
        for name, cls in neurons.items()
        if isinstance(cls, type) and issubclass(cls, Neuron) and cls is not Neuron
    }
    assert found == COUNTS


def test_operations_on_parameters_alone_are_not_an_update_s():
    class Mine(Neuron):
        def step(self, x, u):
            decay = 1 - 2 * self.threshold / (1 + self.threshold)
            return self.fire(decay * u + x)

    assert operations(Mine()) == (1, 1)


def test_operations_that_cannot_be_counted_can_be_declared():
    class Mine(Neuron):
        def step(self, x, u):
            return self.fire(u + x.cumsum(0))

    with pytest.raises(ValueError, match=r"operations: those of Mine .*cumsum.*declare"):
        operations(Mine())
    Mine.operations = (0, 2)
    assert operations(Mine()) == (0, 2)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (LIF(), 2),
        (AdLIF(5), 2 * 3),
        (LNM(5), 2),
        (LNM(5, per="neuron"), 2 + 4),
        (LNM(5, per="neuron", learn=False), 2),
        (Delayed(5, order=3), 2 * 3 + 1 + 2),
        (Recurrent(5), 2),
        (SpikGRU(3, 5), 4),
    ],
)
def test_words_of_an_update(layer, expected):
    assert words(layer) == expected
