import pytest
import torch

pytest.importorskip("neuralop")
from neurodyn.biophysics.noble.curves import Firing
from neurodyn.biophysics.noble.pictures import plot_plane, plot_rates, plot_traces
from tests.biophysics.noble.conftest import SHORT
from tests.biophysics.noble.test_surrogate import small


def test_pictures_show_what_is_predicted(family, traces):
    surrogate = small()
    surrogate.embedding.fit(family.features)
    few = traces.subset(torch.tensor([0, 5]))
    axes = plot_traces(surrogate, few).axes
    assert len(axes) == 2
    simulated, predicted = axes[1].lines
    assert torch.equal(torch.as_tensor(simulated.get_ydata()), few.V[1])
    V = surrogate.predict(few.current(), few.features)[:, 1]
    torch.testing.assert_close(torch.as_tensor(predicted.get_ydata()), V)

    guessed = Firing(SHORT, 0.1, surrogate=surrogate)
    models, amplitudes = torch.tensor([0, 4]), torch.tensor([0.05, 0.2])
    simulated = Firing(SHORT, 0.1, family=family)
    figure = plot_rates(guessed, simulated, models, family.features[models], amplitudes)
    rates = simulated.rates(models, amplitudes)[:, 1]
    assert torch.equal(torch.as_tensor(figure.axes[1].lines[0].get_ydata()), rates)

    figure = plot_plane(guessed, family.features[:3], family.features[3:], 0.1, points=3)
    assert [axis.get_title() for axis in figure.axes[:2]] == [
        "firing rate at 100 pA [Hz]",
        "threshold in the window [nA]",
    ]
    assert len(figure.axes[0].lines[1].get_xdata()) == 2
