import pytest
import torch

from neurodyn.analysis.phase import Plane, plot_phase
from neurodyn.learned import Learned
from neurodyn.neurons import ALIF, BRF, LIF, AdLIF, CubaLIF, Izhikevich, Modal, Neuron, Planar


class FitzHughNagumo(Neuron):
    rate = Learned(0.08)
    states = ("u", "w")

    def step(self, x, u, w):
        s, after = self.fire(u + 0.2 * (u - u**3 / 3 - w + x))
        return s, after, w + 0.2 * self.rate * (u + 0.7 - 0.8 * w)


@pytest.mark.parametrize(
    "neuron",
    [
        AdLIF((3,), per="neuron"),
        ALIF(),
        BRF(),
        CubaLIF(),
        Izhikevich(),
        Modal((3,)),
        Planar((3,), feedback="soft"),
        FitzHughNagumo(threshold=3.0),
    ],
)
def test_any_neuron_with_two_states_can_be_drawn(neuron):
    figure = plot_phase(neuron, 0.1, title="a neuron", steps=20)
    figure.canvas.draw()
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    first, second = neuron.states[:2]
    # The threshold of a neuron that adapts can lie outside the picture.
    if not isinstance(neuron, AdLIF):
        assert labels.pop(0) == "threshold"
    labels = [label for label in labels if label != "threshold"]
    assert labels[:3] == [f"{first} does not change", f"{second} does not change", "trajectory"]


def test_fixed_points_and_their_stability():
    grid = torch.cartesian_prod(*[torch.linspace(-2, 2, 9).double()] * 2)
    plane = Plane(Izhikevich(b=0.0), 0, ("u", "w"), 0.0)
    found = sorted((point[0].item(), stable) for point, stable in plane.fixed_points(grid))
    assert [u for u, _ in found] == pytest.approx([0.0, 0.5], abs=1e-6)
    assert [stable for _, stable in found] == [True, False]
    plane = Plane(FitzHughNagumo(threshold=3.0), 0, ("u", "w"), 0.5)
    ((_, stable),) = plane.fixed_points(grid)
    assert not stable, "it runs around a limit cycle"


def test_the_threshold_of_alif_rises_with_its_adaptation():
    plane = Plane(ALIF(tau=2.0, rho=0.9, jump=0.2), 0, ("u", "a"), 0.0)
    charged, margin = plane.charged(torch.tensor([[2.4, 1.0]]).double())
    assert charged[0].tolist() == pytest.approx([1.2, 0.9])
    assert margin.tolist() == pytest.approx([0.0], abs=1e-6)


def test_trajectories_fire_and_reset():
    plane = Plane(LIF2(), 0, ("u", "w"), 0.6)
    before, charged, after = plane.trajectory(torch.tensor([0.9, 0.0]).double(), 3)[0]
    assert (before[0], charged[0], after[0]) == (pytest.approx(0.9), pytest.approx(1.05), 0.0)


class LIF2(Neuron):
    states = ("u", "w")

    def step(self, x, u, w):
        return *self.fire(0.5 * u + x), 0.5 * w


def test_each_neuron_has_its_own_portrait():
    neuron = Planar((2,), tau=torch.tensor([5.0, 50.0]), period=[20.0])
    fast, slow = (Plane(neuron, i, ("u0", "v0"), 0.0) for i in (0, 1))
    point = torch.tensor([[1.0, 0.0]]).double()
    assert fast.charged(point)[0].norm() < 0.9 < slow.charged(point)[0].norm()


def test_two_states_are_needed():
    with pytest.raises(ValueError, match="expected two states or more"):
        plot_phase(LIF())
    with pytest.raises(ValueError, match="states: expected two of"):
        plot_phase(ALIF(), states=("u", "v"))


def test_bounds_and_states_can_be_given():
    figure = plot_phase(Modal((1,)), states=("u1", "v1"), bounds=((-2, 2), (-1, 1)), steps=5)
    (axis,) = figure.axes
    assert axis.get_xlim() == (-2, 2)
    assert axis.get_ylim() == (-1, 1)
    assert axis.get_xlabel() == "state u1"
