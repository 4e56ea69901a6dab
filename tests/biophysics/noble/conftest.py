import pytest

from neurodyn.biophysics import Pospischil
from neurodyn.biophysics.noble import Steps

SHORT = Steps(start=3.0, duration=14.0, window=20.0, jitter=2.0, mode=0.15)


@pytest.fixture(scope="session")
def family():
    return Pospischil.family(models=5, held_out=2, seed=0)


@pytest.fixture(scope="session")
def traces(family):
    return family.simulate(SHORT, 12, dt=0.1)
