import pytest
import torch

from neurodyn.biophysics.noble.curves import Firing, between, ensemble
from tests.biophysics.noble.conftest import SHORT


class Exact:
    """Predicts what the family simulates; the features tell the model."""

    def __init__(self, family):
        self.family = family

    def predict(self, current, features):
        models = (features[:, None] - self.family.features).abs().sum(-1).argmin(1)
        fine = current.repeat_interleave(8, 0)
        return self.family.run(models, fine, 0.0125, 8)


def test_curves_of_predictions_are_those_of_the_simulation(family):
    simulated = Firing(SHORT, 0.1, family=family)
    predicted = Firing(SHORT, 0.1, surrogate=Exact(family))
    models = torch.tensor([0, 3])
    features = family.features[models]
    amplitudes = torch.tensor([0.0, 0.15, 0.28])
    true, found = simulated.rates(models, amplitudes), predicted.rates(features, amplitudes)
    assert true.shape == (3, 2)
    assert true[0].tolist() == [0, 0]
    assert (true[2] > true[1]).all()
    torch.testing.assert_close(found, true, rtol=0.05, atol=0)
    true, found = simulated.features(models), predicted.features(features)
    assert (true[:, 0] > family.features[models, 0]).all()  # The step is shorter.
    torch.testing.assert_close(found[:, 0], true[:, 0], rtol=0.02, atol=0)


def test_a_model_that_never_fires_has_no_threshold(family):
    class Silent:
        def predict(self, current, features):
            return torch.full_like(current, -70.0)

    found = Firing(SHORT, 0.1, surrogate=Silent()).features(family.features[:2])
    assert found.isnan().all()


def test_one_of_the_two():
    with pytest.raises(ValueError, match="surrogate, family: expected one of them"):
        Firing(SHORT, 0.1)


def test_between_models():
    first, second = torch.tensor([0.04, 1200.0]), torch.tensor([0.06, 1400.0])
    path = between(first, second, 3)
    torch.testing.assert_close(path, torch.tensor([[0.04, 1200], [0.05, 1300], [0.06, 1400]]))


def test_ensembles_lie_in_the_convex_hull():
    from scipy.spatial import Delaunay

    known = torch.tensor([[0.04, 1200.0], [0.06, 1600.0], [0.05, 1000.0], [0.05, 1300.0]])
    drawn = ensemble(known, 200, seed=1)
    scale = torch.tensor([0.01, 100.0])
    assert (Delaunay(known / scale).find_simplex(drawn / scale, tol=1e-4) >= 0).all()
    assert drawn.std(0)[0] > 0.002
    assert torch.equal(drawn, ensemble(known, 200, seed=1))
    with pytest.raises(ValueError, match="features: expected at least 3 models, got 2"):
        ensemble(known[:2], 5)
