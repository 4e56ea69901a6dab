import pytest
import torch

from neurodyn.analysis.raster import plot_raster, sample_spikes
from neurodyn.models import SequenceNet
from neurodyn.neurons import LIF


def test_spikes_of_one_sample_by_layer():
    network = SequenceNet(LIF, shape=(1,), classes=2, widths=(6, 4)).eval()
    x = 4 * torch.randn(20, 3, 1)
    spikes = sample_spikes(network, x, sample=1)
    assert {name: tuple(layer.shape) for name, layer in spikes.items()} == {
        "layer 1": (20, 6),
        "layer 2": (20, 4),
    }
    alone = sample_spikes(network, x[:, 1:2])
    assert torch.equal(spikes["layer 1"], alone["layer 1"])
    assert spikes["layer 1"].any()


@pytest.mark.parametrize("inputs", [None, 1, 3])
def test_a_mark_per_spike(inputs):
    spikes = {"layer 1": torch.zeros(10, 5), "layer 2": torch.zeros(10, 2)}
    spikes["layer 1"][[3, 7], [1, 4]] = 1
    x = None if inputs is None else torch.randn(10, inputs)
    figure = plot_raster(spikes, x=x, title="a sample")
    figure.canvas.draw()
    axes = figure.axes[inputs is not None :]
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == ["layer 1, 5 neurons", "layer 2, 2 neurons"]
    (marks,) = axes[0].collections
    assert marks.get_offsets().tolist() == [[3, 1], [7, 4]]
    assert axes[-1].get_xlabel() == "timestep"
    assert axes[-1].get_xlim() == (-0.5, 9.5)


def test_several_spikes_in_one_step_are_a_wider_mark():
    spikes = torch.zeros(10, 5)
    spikes[3, 1], spikes[7, 4] = 1, 3
    (marks,) = plot_raster({"layer 1": spikes}).axes[0].collections
    one, three = marks.get_linewidths()
    assert three == pytest.approx(3 * one)


def test_spikes_of_one_sample_are_needed():
    with pytest.raises(ValueError, match=r"expected \(T, neurons\) of layer 1, got \(10, 2, 5\)"):
        plot_raster({"layer 1": torch.zeros(10, 2, 5)})
    with pytest.raises(ValueError, match="at least one layer"):
        plot_raster({})
