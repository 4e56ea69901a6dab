import pytest
import torch

from neurodyn.data import Diabetes


def test_the_split_and_the_scale():
    data = Diabetes(batch_size=50, validation=50)
    data.setup()
    (train, values), (test, others) = data.read(True), data.read(False)
    assert (len(train), len(test)) == (353, 89)
    whole = torch.cat([train, test])
    torch.testing.assert_close(whole.mean(0), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.square().mean(0), torch.ones(10))
    assert (values.min().item(), torch.cat([values, others]).max().item()) == (25.0, 346.0)
    asked = data.targets
    assert asked.mean[0] == torch.tensor(asked.mean[0])
    torch.testing.assert_close(torch.tensor(asked.mean), values.double().mean()[None].float())
    x, y = data.prepared(next(iter(data.train_dataloader())))
    assert (x.shape, y.shape) == ((50, 10), (50, 1))


def test_what_linear_regression_explains():
    """The figure beside which the page of results puts the neurons."""
    from sklearn.linear_model import RidgeCV

    x, y = Diabetes().read(train=True)
    explained = RidgeCV().fit(x, y).score(*Diabetes().read(train=False))
    assert explained == pytest.approx(0.48, abs=0.005)
