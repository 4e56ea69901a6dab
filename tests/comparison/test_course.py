import numpy as np
import pytest
import torch

from neurodyn import LIF, LNM, Planar
from neurodyn.comparison.course import EPOCHS, MAPS, Course, CourseKeeper, frame
from neurodyn.models import SequenceNet
from neurodyn.training.learner import Learner


def network(neuron=LNM):
    return SequenceNet(lambda f: neuron(f, per="neuron"), shape=(3,), classes=2, widths=(5, 20))


class Trainer:
    """What a callback reads of a trainer."""

    is_global_zero = True

    def __init__(self, epoch=0):
        self.current_epoch = epoch


def trained(path, module, epochs, start=0):
    """A training of some epochs, or one that resumes; each epoch changes the first layer."""
    keeper = CourseKeeper(path)
    keeper.on_train_start(Trainer(start), module)
    for epoch in range(start, epochs):
        with torch.no_grad():
            module.network.body[2].c[0].fill_(0.01 * (epoch + 1))
        keeper.on_train_epoch_end(Trainer(epoch), module)
    return Course.load(path)


def test_maps_of_one_state_and_modes_of_several():
    u = torch.linspace(-2.0, 1.6, 46)
    assert np.allclose(frame(LIF()), (u / 2)[:, None], atol=1e-3)
    modes = frame(Planar((100,), per="neuron", tau=20.0, period=10.0))
    assert modes.shape == (48, 2)
    assert np.allclose(np.abs(modes), np.exp(-1 / 20), atol=1e-4)


def test_a_course_over_training(tmp_path):
    found = trained(tmp_path / "dynamics.npz", Learner(network(), 2), 3)
    assert found.epochs == [0, 1, 2, 3]
    assert [layer.title for layer in found.layers] == ["layer 1, 5 neurons", "layer 2, 20 neurons"]
    first, second = found.layers
    assert [one.shape for one in second.frames] == [(46, MAPS)] * 4
    assert not np.array_equal(first.frames[0], first.frames[3])
    assert np.array_equal(second.frames[0], second.frames[3])
    assert not first.has_modes


@pytest.mark.parametrize("killed", [1, 3, 40])
def test_a_resumed_course_is_that_of_an_unbroken_run(tmp_path, killed):
    torch.manual_seed(0)
    whole = trained(tmp_path / "a.npz", Learner(network(), 2), 70)
    torch.manual_seed(0)
    module = Learner(network(), 2)
    trained(tmp_path / "b.npz", module, killed + 1)  # The checkpoint is of the epoch before.
    resumed = trained(tmp_path / "b.npz", module, 70, start=killed)
    assert resumed.epochs == whole.epochs
    assert len(whole.epochs) <= EPOCHS + 1
    assert whole.epochs[-1] == 70
    for one, two in zip(whole.layers, resumed.layers, strict=True):
        assert all(map(np.array_equal, one.frames, two.frames))


def test_a_network_without_neurons_has_no_course(tmp_path):
    keeper = CourseKeeper(tmp_path / "dynamics.npz")
    keeper.on_train_start(Trainer(), Learner(torch.nn.Flatten(2), 2))
    assert not list(tmp_path.iterdir())


def test_a_damaged_course_is_an_error_and_the_training_goes_on(tmp_path):
    path = tmp_path / "dynamics.npz"
    path.write_bytes(b"half")
    with pytest.raises(ValueError, match=r"dynamics\.npz: expected the course of a run"):
        Course.load(path)
    assert trained(path, Learner(network(), 2), 3, start=2).epochs == [3]


def test_a_course_that_unpacks_to_more_than_memory_holds_is_refused(tmp_path):
    path = tmp_path / "dynamics.npz"
    np.savez_compressed(path, epochs=np.zeros(2**23 + 1))
    assert path.stat().st_size < 2**17
    with pytest.raises(ValueError, match=r"dynamics\.npz: .* unpacks to 67,\d{3},\d{3} bytes"):
        Course.load(path)
