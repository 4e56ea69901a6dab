"""What changes between calls, or watches them: hooks, modes, and numbers of the cell."""

import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from neurodyn.layers import Delayed
from neurodyn.neurons import LIF, Neuron
from neurodyn.scan import api, why_not
from neurodyn.step import program
from neurodyn.surrogate import Surrogate, Triangle
from tests.scan.contract import error
from tests.scan.test_scan import gradients

X = torch.linspace(-1, 2, 60).reshape(12, 5)
WATCHES = {
    "flops": lambda: FlopCounterMode(display=False),
    "modules": ModuleTracker,
    "profile": torch.profiler.profile,
    "anomaly": torch.autograd.detect_anomaly,
}


def fresh(**options):
    """A neuron that nothing has traced yet: each has a class of its own."""

    class Fresh(Neuron):
        def __init__(self, **options):
            super().__init__(**options)
            self.k, self.held, self.owner = 0.1, {"a": [0.2]}, Owner()

        def step(self, x, u):
            return self.fire(self.k * u + self.owner.n * x + self.held["a"][0])

    return Fresh(**options)


class Owner:
    """Holds a number for a neuron."""

    def __init__(self):
        self.n = 1


@pytest.mark.filterwarnings("ignore:Anomaly")
@pytest.mark.parametrize("name", WATCHES)
def test_a_first_call_that_is_watched(name):
    neuron = fresh(backend="cpu")
    with WATCHES[name]():
        watched = gradients(neuron, X, "cpu")
    assert all(map(torch.equal, watched, gradients(neuron, X, "cpu")))
    assert error(watched[1], gradients(neuron, X, "reference")[1]) < 1e-6


@pytest.fixture
def compiler():
    """Forgets what is compiled before and after, as there is a limit to it."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("compiler")
@pytest.mark.filterwarnings("ignore:scan")
@pytest.mark.parametrize(
    "change",
    [
        lambda neuron, i: setattr(neuron, "k", 0.15 * i),
        lambda neuron, i: setattr(neuron.owner, "n", i),
        lambda neuron, i: neuron.held["a"].__setitem__(0, 0.1 * i),
        lambda neuron, i: setattr(neuron.spike, "scale", 1.0 + i),
    ],
    ids=["attribute", "object", "container", "spike"],
)
def test_a_compiled_program_sees_every_value_of_a_number(change):
    neuron = fresh()
    compiled = torch.compile(neuron, backend="eager")
    for i in range(6):
        change(neuron, i)
        x = X.clone().requires_grad_()
        (given,) = torch.autograd.grad(compiled(x).sum(), x)
        (expected,) = torch.autograd.grad(neuron(x).sum(), x)
        assert torch.equal(given, expected)
        assert torch.equal(compiled(x), neuron(x))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("spike", Surrogate.__subclasses__())
def test_a_learned_width_s_gradient_is_zero_where_the_window_is(spike, backend):
    """Far out, `v / width` is infinite."""
    neuron = LIF(surrogate=spike(1e-3, learn=True), backend=backend)
    x = torch.tensor([1e38, -1e38, 3e38, 0.9999]).expand(1, 1, 4).clone().requires_grad_()
    neuron(x).sum().backward()
    near = x.detach()[..., 3:].requires_grad_()
    (truth,) = torch.autograd.grad(neuron(near).sum(), neuron.spike.parameters())
    assert truth != 0
    assert all(torch.equal(p.grad, truth) for p in neuron.spike.parameters())
    assert not x.grad.isnan().any()


def test_a_broken_membrane_s_width_has_no_gradient():
    neuron = LIF(surrogate=Triangle(learn=True), backend="cpu")
    neuron(torch.full((2, 1, 1), float("nan"))).sum().backward()
    assert all(p.grad.isnan().all() for p in neuron.spike.parameters())


HOOKS = {
    "forward": lambda module, hook: module.register_forward_hook(hook),
    "forward_pre": lambda module, hook: module.register_forward_pre_hook(hook),
    "full_backward": lambda module, hook: module.register_full_backward_hook(hook),
    "full_backward_pre": lambda module, hook: module.register_full_backward_pre_hook(hook),
}


@pytest.mark.parametrize("part", ["spike", "reset"])
@pytest.mark.parametrize("kind", HOOKS)
def test_hooks_on_what_a_step_calls_run_in_the_loop(kind, part, monkeypatch):
    monkeypatch.setattr(api, "_warned", set())
    neuron, seen = LIF(), []
    gradients(neuron, X, "auto")
    handle = HOOKS[kind](getattr(neuron, part), lambda *_: seen.append(kind))
    with pytest.warns(RuntimeWarning, match=f"step: calls '{part}', which has hooks"):
        watched = gradients(neuron, X, "auto")
    assert len(X) - 1 <= len(seen) <= len(X)  # The last reset has no gradient.
    assert error(watched[1], gradients(neuron, X, "reference")[1]) == 0
    with pytest.raises(ValueError, match="which has hooks"):
        gradients(neuron, X, "cpu")
    handle.remove()
    assert why_not(neuron, (X,), neuron.initial_state()) is None


def test_hooks_on_the_neuron_itself_leave_it_its_kernel():
    neuron, seen = Delayed((5,), order=2), []
    neuron.neuron.register_forward_hook(lambda *_: seen.append(1))
    neuron.neuron.backend = "cpu"
    neuron(X.unsqueeze(1))
    assert seen == [1]


def test_a_number_that_changes_at_every_call_is_named_once(monkeypatch):
    monkeypatch.setattr(program, "_warned", set())
    neuron = fresh()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for i in range(12):
            neuron.k = 0.05 * i
            neuron(X)
    (warning,) = [str(w.message) for w in seen]
    assert "number 'k' changes" in warning
    assert "nn.Buffer" in warning


def test_numbers_that_differ_between_layers_are_no_change(monkeypatch):
    monkeypatch.setattr(program, "_warned", set())
    layers = [fresh() for _ in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, neuron in enumerate(layers):
            neuron.k = 0.05 * i
            neuron(X)
            neuron(X)
