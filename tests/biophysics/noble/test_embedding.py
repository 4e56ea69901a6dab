import math

import pytest
import torch

from neurodyn.biophysics.noble.embedding import Embedding, waves
from neurodyn.biophysics.noble.surrogate import as_input

FEATURES = torch.tensor([[0.04, 1200.0], [0.06, 1600.0], [0.05, 1300.0]])


def fitted(**frequencies):
    embedding = Embedding(frequencies)
    embedding.fit(FEATURES)
    return embedding


def given(n=200, amplitudes=(0.1, -0.05, 0.28)):
    current = torch.zeros(n, len(amplitudes))
    current[n // 10 : n // 2] = torch.tensor(amplitudes)
    return as_input(current, FEATURES[: len(amplitudes)])


def wave(p, k, n):
    tau = torch.linspace(0, 2 * math.pi, n)
    return torch.sin(2**k * math.pi * p * tau), torch.cos(2**k * math.pi * p * tau)


def test_waves_are_those_of_the_page():
    found = waves(torch.tensor([0.7, 2.0]), 3, 50)
    assert found.shape == (2, 6, 50)
    for row, p in enumerate((0.7, 2.0)):
        for k in range(3):
            sine, cosine = wave(p, k, 50)
            torch.testing.assert_close(found[row, 2 * k], sine, atol=1e-4, rtol=0)
            torch.testing.assert_close(found[row, 2 * k + 1], cosine, atol=1e-4, rtol=0)


@pytest.mark.parametrize("order", [("amplitude", "slope", "threshold"), ("slope", "threshold")])
def test_channels_have_one_order(order):
    numbers = {"threshold": 1, "slope": 1, "amplitude": 2}
    found = fitted(**{name: numbers[name] for name in order})(given())
    # Scaled to .5 .. 3.5 over the three models; .1 nA counts as 1.
    expected = [*wave(2.0, 0, 200), *wave(0.5 + 3 * 100 / 400, 0, 200)]
    if "amplitude" in order:
        expected += [*wave(2.8, 0, 200), *wave(2.8, 1, 200)]
    third = found[2]
    assert len(third) == len(expected) + 1
    for channel, wanted in zip(third, expected, strict=False):
        torch.testing.assert_close(channel, wanted, atol=2e-4, rtol=0)
    torch.testing.assert_close(third[-1], 10 * given()[:, 2, 0])


def test_the_paper_has_23_channels():
    assert Embedding({"threshold": 1, "slope": 1, "amplitude": 9}).channels == 23
    assert Embedding({}).channels == 1


def test_the_amplitude_keeps_its_sign_and_may_be_zero():
    found = fitted(amplitude=1)(given(amplitudes=(-0.05, 0.0)))
    torch.testing.assert_close(found[0, 0], wave(-0.5, 0, 200)[0], atol=1e-4, rtol=0)
    assert torch.equal(found[1, 0], torch.zeros(200))
    assert torch.equal(found[1, 1], torch.ones(200))


def test_the_scale_is_that_of_the_models_it_has_seen():
    embedding = fitted(threshold=1)
    outside = as_input(torch.zeros(100, 1), torch.tensor([[0.07, 1300.0]]))
    torch.testing.assert_close(embedding(outside)[0, 0], wave(5.0, 0, 100)[0], atol=1e-4, rtol=0)
    again = Embedding({"threshold": 1})
    again.load_state_dict(embedding.state_dict())
    assert torch.equal(again(outside), embedding(outside))


def test_without_a_scale():
    with pytest.raises(ValueError, match="embed: the features have no scale yet"):
        Embedding({"slope": 1})(given())
    assert Embedding({"amplitude": 1})(given()).isfinite().all()
    alike = Embedding({"slope": 1})
    with pytest.raises(ValueError, match="expected training models that differ in slope, got 9"):
        alike.fit(torch.tensor([[0.04, 9.0], [0.05, 9.0]]))


def test_a_grid_that_does_not_resolve_the_waves():
    with pytest.raises(ValueError, match=r"embed\.amplitude: 9 frequencies make up to 2252 waves"):
        fitted(amplitude=9)(given(1200))
    fitted(amplitude=9)(given(4505))
    with pytest.raises(ValueError, match=r"pi 2\^\(K-1\) 3\.5 below half the points"):
        fitted(slope=2)(given(40))


def test_names_that_are_not_there():
    with pytest.raises(ValueError, match=r"embed: unknown name 'amplitud'\. Did you mean"):
        Embedding({"amplitud": 3})
    with pytest.raises(ValueError, match=r"embed\.slope: expected at least 0, got -1"):
        Embedding({"slope": -1})
