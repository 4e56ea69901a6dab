import subprocess
import sys

import pytest
import torch
from torch import nn

from neurodyn.biophysics.noble.surrogate import Pointwise, Surrogate, as_input

pytest.importorskip("neuralop")
FEATURES = torch.tensor([[0.04, 1200.0], [0.06, 1600.0]])


def small(**options):
    torch.manual_seed(0)
    surrogate = Surrogate(
        **{
            "modes": 16,
            "width": 6,
            "layers": 2,
            "embed": {"amplitude": 2, "slope": 1, "threshold": 1},
            **options,
        }
    )
    surrogate.embedding.fit(FEATURES)
    return surrogate


def current(n=200):
    step = torch.zeros(n, 2)
    step[n // 10 : n // 2] = torch.tensor([0.1, 0.0])
    return step


def test_the_paper_has_so_many_parameters():
    count = sum(p.numel() * (2 if p.is_complex() else 1) for p in Surrogate().parameters())
    assert count == 1_803_001


def test_the_potential_over_time_in_millivolts():
    surrogate = small()
    x = as_input(current(), FEATURES)
    V = surrogate(x)
    assert V.shape == (200, 2, 1)
    channels = surrogate.embedding(x)
    torch.testing.assert_close(V[..., 0].T, 1000 * surrogate.fno(channels)[:, 0])
    torch.testing.assert_close(surrogate.predict(current(), FEATURES, batch=1), V[..., 0])
    assert not surrogate.predict(current(), FEATURES).requires_grad
    torch.testing.assert_close(small(unit=0.1)(x), V / 10)


def test_no_current_is_finite():
    assert small().predict(torch.zeros(100, 2), FEATURES).isfinite().all()


def test_products_are_the_convolutions_of_neuraloperator():
    surrogate = small()
    x = as_input(current(), FEATURES)
    products = [m for m in surrogate.fno.modules() if isinstance(m, Pointwise)]
    assert len(products) == 10
    V = surrogate(x)
    V.square().mean().backward()
    grads = [p.grad.clone() for p in surrogate.parameters()]
    surrogate.zero_grad()
    for module in products:
        module.__class__ = nn.Conv1d
    other = surrogate(x)
    torch.testing.assert_close(V, other, rtol=1e-4, atol=1e-3)
    other.square().mean().backward()
    for grad, p in zip(grads, surrogate.parameters(), strict=True):
        torch.testing.assert_close(grad, p.grad, rtol=1e-3, atol=1e-3 * grad.abs().max().item())


def test_a_smooth_input_on_a_finer_grid():
    # The same function of time: weights act on the same modes.
    surrogate = small(embed={"threshold": 1, "slope": 1})
    coarse, fine = (surrogate.predict(torch.zeros(n, 2), FEATURES) for n in (400, 800))
    assert ((fine[::2] - coarse).norm() / coarse.norm()).item() < 0.02


def test_its_state_is_weights_alone(tmp_path):
    surrogate = small()
    assert all(isinstance(value, torch.Tensor) for value in surrogate.state_dict().values())
    torch.save(surrogate.state_dict(), tmp_path / "weights.pt")
    other = small()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"x: expected \(T, B, 3\), got \(5, 2\)"):
        small()(torch.zeros(5, 2))
    with pytest.raises(ValueError, match="at least as many points as there are modes, 16, got 8"):
        small(embed={})(torch.zeros(8, 1, 3))
    with pytest.raises(ValueError, match=r"current, features: expected \(T, traces\) and"):
        small().predict(current(), FEATURES[:1])
    with pytest.raises(ValueError, match="modes: expected at least 1"):
        Surrogate(modes=0)


def test_the_house_does_not_import_it():
    code = (
        "import sys, neurodyn, neurodyn.biophysics, neurodyn.biophysics.noble;"
        "print(*{'neuralop', 'efel', 'neuron', 'lightning', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
