import pytest
import torch

from neurodyn.biophysics.noble.loss import relative, soft_sag


def test_relative_errors():
    true = torch.tensor([[3.0, 1.0], [4.0, 1.0]])
    found = relative(true + torch.tensor([0.5, 0.0]), true, 2)
    torch.testing.assert_close(found, torch.tensor([0.5**0.5 * 1.0 / 5, 0.0]))
    four = relative(torch.zeros(2, 1), true[:, :1], 4)
    assert four.item() == pytest.approx(1)


def test_the_sag_of_a_known_trace():
    t = torch.arange(400.0)
    on = ((t > 50) & (t <= 350))[:, None].expand(-1, 2)
    late = -80 - 3 * torch.exp(-((t - 80) / 40).square()) * (t > 50)
    V = torch.stack([torch.where(on[:, 0], late, -70.0), torch.full_like(t, -75.0)], 1)
    V.requires_grad_()
    sag = soft_sag(V, on)
    assert sag[0].item() == pytest.approx(3, abs=0.1)
    assert sag[1].item() == pytest.approx(0, abs=1e-3)
    sag[0].backward()
    # A lower lowest point and a higher end make it larger; the rest before does not matter.
    assert V.grad[80, 0] < 0 < V.grad[349, 0]
    assert V.grad[:51].abs().max() == 0
    assert V.grad[:, 1].abs().max() == 0
