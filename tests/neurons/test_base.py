"""What every neuron does: shapes, states, dtypes, granularity, errors."""

import copy
import warnings

import pytest
import torch

from neurodyn.neurons import (
    IF,
    LIF,
    LNM,
    PLIF,
    QIF,
    AdLIF,
    HardReset,
    Neuron,
    dynamics_parameters,
)
from neurodyn.surrogate import Triangle

ALL = [IF, LIF, PLIF, QIF, LNM]


class ThreeLines(Neuron):
    states = ("u", "a")

    def step(self, x, u, a):
        s, u = self.fire(0.5 * u + x - a)
        return s, u, 0.9 * a + 0.1 * s


@pytest.mark.parametrize("cls", [*ALL, ThreeLines])
@pytest.mark.parametrize("shape", [(3, 2), (1, 5), (4, 2, 3), (4, 2, 3, 5, 5)])
def test_shape_and_dtype_are_the_inputs(cls, shape):
    x = torch.randn(shape)
    spikes = cls()(x)
    assert spikes.shape == shape
    assert spikes.dtype == x.dtype
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("cls", [*ALL, ThreeLines])
def test_chunks_equal_one_call(cls):
    x = torch.randn(12, 3, 7)
    neuron = cls()
    whole, final = neuron(x, return_state=True)
    state, parts = None, []
    for chunk in x.split([1, 4, 7]):
        part, state = neuron(chunk, state, return_state=True)
        parts.append(part)
    assert torch.equal(torch.cat(parts), whole)
    for a, b in zip(state, final, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("cls", ALL)
def test_no_hidden_state(cls):
    x = torch.randn(5, 4)
    neuron = cls()
    first = neuron(x)
    first.sum().backward() if first.requires_grad else None
    assert torch.equal(neuron(x), first)


@pytest.mark.parametrize("cls", ALL)
def test_record_has_every_state(cls):
    x = torch.randn(5, 4, 3)
    seen = cls().record(x)
    assert list(seen) == ["spikes", "h", "u"]
    assert seen["u"].shape == x.shape


@pytest.mark.parametrize("cls", ALL)
def test_empty_batch(cls):
    assert cls()(torch.zeros(4, 0, 3)).shape == (4, 0, 3)


@pytest.mark.parametrize("cls", ALL)
def test_float64_states(cls):
    spikes, (u,) = cls().double()(torch.randn(3, 2, dtype=torch.float64), return_state=True)
    assert spikes.dtype == u.dtype == torch.float64


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(cls, dtype):
    x = torch.randn(6, 40).to(dtype)
    spikes, (u,) = cls()(x, return_state=True)
    assert spikes.dtype == dtype
    assert u.dtype == torch.float32
    assert torch.equal(spikes.float(), cls()(x.float()))


@pytest.mark.parametrize("cls", ALL)
def test_autocast(cls):
    x = torch.randn(4, 8, 16, requires_grad=True)
    layer, neuron = torch.nn.Linear(16, 16), cls()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spikes = neuron(layer(x))
    assert spikes.dtype == torch.bfloat16
    spikes.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("cls", ALL)
def test_strides_do_not_matter(cls):
    x = torch.randn(4, 2, 3, 6, 6)
    channels_last = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    for view in (
        x.transpose(0, 1).contiguous().transpose(0, 1),
        channels_last.unflatten(0, (4, 2)),
        torch.randn(4, 2, 3, 6, 12)[..., ::2].copy_(x),
    ):
        assert not view.is_contiguous()
        assert torch.equal(cls()(view), cls()(x))


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(("per", "shape"), [("channel", (3, 1, 1)), ("neuron", (3, 4, 4))])
def test_granularity(cls, per, shape):
    x = torch.randn(5, 2, 3, 4, 4)
    neuron = cls((3, 4, 4), per=per, learn_threshold=True)
    assert neuron.threshold.shape == shape
    assert torch.equal(neuron(x), cls()(x)), "equal parameters everywhere give the layer's result"
    neuron(x).sum().backward()
    for name, parameter in neuron.named_parameters():
        assert parameter.shape == shape
        assert parameter.grad.shape == shape, name
    with torch.no_grad():
        neuron.threshold[1] = 1e6
    assert neuron(x)[:, :, 1].sum() == 0


def test_channels_of_any_map_size():
    neuron = LNM((3, -1, -1), per="channel")
    assert neuron(torch.randn(2, 2, 3, 5, 7)).shape == (2, 2, 3, 5, 7)


@pytest.mark.parametrize("cls", ALL)
def test_compiles_in_one_graph(cls):
    torch._dynamo.reset()
    x = torch.randn(3, 2, 5)
    neuron = cls()
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), neuron(x))


def test_compiles_for_any_size_with_a_parameter_per_neuron():
    """A second layer of another width is compiled so."""
    torch._dynamo.reset()
    for width in (5, 7):
        neuron, x = LIF((width,), per="neuron"), torch.randn(3, 2, width)
        compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager", dynamic=True)
        assert torch.equal(compiled(x), neuron(x))


def test_state_dict_round_trip():
    neuron = LNM(start="qif", learn_threshold=True)
    other = LNM()
    other.load_state_dict(neuron.state_dict())
    x = torch.randn(9, 30)
    assert torch.equal(other(x), neuron(x))


def test_copies_are_independent():
    neuron = LNM()
    twin = copy.deepcopy(neuron)
    with torch.no_grad():
        twin.c[1].fill_(5.0)
    assert neuron.c[1].item() == -1


def test_dynamics_parameters_are_the_neurons_alone():
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), LNM(), torch.nn.Linear(3, 3), PLIF())
    assert len(dynamics_parameters(net)) == 5


def test_nan_reaches_the_output():
    x = torch.zeros(3, 1, 2)
    x[1, 0, 0] = float("nan")
    spikes = LIF()(x)
    assert torch.isnan(spikes[1:, 0, 0]).all()
    assert (spikes[:, 0, 1] == 0).all()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(32), ValueError, r"x: expected \(T, B, ...\), got \(32,\). Time comes first"),
        (torch.zeros(0, 3, 4), ValueError, "x: expected at least one timestep, got T=0"),
        (
            torch.zeros(2, 3).long(),
            TypeError,
            "x: expected a floating-point tensor, got torch.int64",
        ),
        (torch.zeros(2, 3).bool(), TypeError, "got torch.bool"),
        ([[1.0]], TypeError, "x: expected a floating-point tensor, got list"),
    ],
)
def test_bad_input(x, error, message):
    with pytest.raises(error, match=message):
        LIF()(x)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((torch.zeros(4),), r"state: u expected shape \(2, 3\), got \(4,\)"),
        (
            (torch.zeros(2, 3), torch.zeros(2, 3)),
            r"state: expected a tuple of \(u\), got 2 entries",
        ),
        (torch.zeros(2, 3), r"state: expected a tuple of \(u\), got Tensor"),
    ],
)
def test_bad_state(state, message):
    with pytest.raises(ValueError, match=message):
        LIF()(torch.zeros(5, 2, 3), state)


def test_features_that_do_not_fit():
    with pytest.raises(ValueError, match=r"x: expected \(T, B, 64, 8, 8\).*got \(4, 2, 32, 8, 8\)"):
        LIF((64, 8, 8), per="neuron")(torch.zeros(4, 2, 32, 8, 8))


def test_a_neuron_without_a_step():
    with pytest.raises(NotImplementedError, match="Neuron does not define its step"):
        Neuron()(torch.zeros(1, 1))


def test_layers_share_no_spike_or_reset():
    """A factory with options hands the same objects to every neuron that it makes."""
    shared = {"surrogate": Triangle(0.8, learn=True), "reset": HardReset(0.1, learn=True)}
    one, two = LIF(**shared), LIF(**shared)
    assert one.spike is not two.spike
    assert one.reset.value is not two.reset.value


def test_widths_have_the_granularity_of_the_neuron():
    width = torch.tensor([0.5, 1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match=r"surrogate: expected width as .*\(4, 1, 1\)"):
        LIF((4, 4, 4), per="channel", surrogate=Triangle(width))
    LIF((4, 4, 4), per="channel", surrogate=Triangle(width.reshape(4, 1, 1)))


def test_first_call_under_inference_mode():
    class Fresh(Neuron):
        def step(self, x, u):
            return self.fire(0.123 * u + x)

    with torch.inference_mode():
        Fresh()(torch.randn(4, 3))
    neuron = Fresh()
    neuron(torch.randn(4, 3, requires_grad=True)).sum().backward()


def test_a_step_that_forgets_its_state():
    class Forgetful(Neuron):
        def step(self, x, u):
            return self.spike(u + x - 1)

    with pytest.raises(ValueError, match="step: expected a tuple of outputs and 1 new states"):
        Forgetful(backend="reference")(torch.zeros(3, 2, 4))
    with pytest.raises(ValueError, match="step: expected a tuple of outputs and 1 new states"):
        Forgetful()(torch.zeros(3, 2, 4))


class WithoutState(Neuron):
    states = ("u", "w")

    def step(self, x, u):
        return self.fire(u + x)


class OneTooMany(Neuron):
    def step(self, x, u, w):
        return self.fire(u + x)


class AnyNumber(Neuron):
    def step(self, x, *state):
        return self.fire(state[0] + x)


def test_a_step_takes_the_input_and_each_state():
    with pytest.raises(TypeError, match=r"step\(self, x, u, w\) .* got step\(self, x, u\)$"):
        WithoutState()
    with pytest.raises(TypeError, match=r"expected step\(self, x, u\) of OneTooMany, the input"):
        OneTooMany()
    assert AnyNumber()(torch.zeros(3, 2, 4)).shape == (3, 2, 4)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("wrong", ["spikes", None, [1.0]])
def test_a_step_returns_tensors(backend, wrong):
    class Wrong(Neuron):
        def step(self, x, u):
            return wrong, u + x

    message = f"step: expected a tuple of tensors, got a {type(wrong).__name__} in it"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # An error says enough.
        with pytest.raises(TypeError, match=message):
            Wrong(backend=backend)(torch.zeros(3, 2, 4))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_drive_goes_to_the_membrane_itself(backend):
    neuron = AdLIF(backend=backend)
    x, drive = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
    scaled = neuron(x + drive / (1 - neuron.alpha).item())
    torch.testing.assert_close(neuron(x, drive=drive), scaled)
    assert not torch.equal(neuron(x, drive=drive), neuron(x))


def test_a_drive_that_has_no_place_is_an_error():
    class Deaf(Neuron):
        def step(self, x, u):
            return self.spike(u + x), u

    with pytest.raises(TypeError, match="drive: the step of Deaf"):
        Deaf(backend="reference")(torch.randn(2, 1, 3), drive=torch.randn(2, 1, 3))
    with pytest.raises(ValueError, match="drive: expected the shape of x"):
        LIF()(torch.randn(2, 1, 3), drive=torch.randn(2, 1, 1))
