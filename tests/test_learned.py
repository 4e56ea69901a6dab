"""Declared parameters: what follows from one line."""

import copy
import inspect
import math
import pickle

import pytest
import torch

import neurodyn
from neurodyn.learned import Learned
from neurodyn.models import ConvNet
from neurodyn.neurons import (
    ALIF,
    BRF,
    LIF,
    LNM,
    PLIF,
    AdLIF,
    CubaLIF,
    HardReset,
    MultiTimescale,
    Neuron,
    SmoothReset,
    round_dynamics,
)
from neurodyn.surrogate import ArcTan, Gaussian, Triangle


class Whole(Neuron):
    """One of every kind.

    Args:
        features, **options: as for `Neuron`.
    """

    free = Learned(-0.3, "no bounds")
    share = Learned(0.25, "between two", low=0.0, high=1.0)
    inside = Learned(3.0, "between two others", low=2.0, high=6.0)
    scale = Learned(0.5, "above zero", low=0.0)
    tau = Learned(7.0, "above one", low=1.0, inverse=True)
    edge = Learned(0.0, "may lie on the edge", low=0.0, high=1.0, link="clamp")
    constant = Learned(2.0, "not learned", low=1.0, learn=False)
    same = Learned("free", "starts where another does")
    modes = Learned(low=1.0, link="exp", vector=True)

    def __init__(self, features=None, *, count=2, **options):
        super().__init__(features, **options)
        self.modes = [(2.0, 20.0)] * count

    def step(self, x, u):
        a, b = self.modes
        leak = self.share / self.tau + self.edge + 0.01 * (self.free + self.same)
        return self.fire(u - leak * u / (a * b) + x * self.scale / (self.inside * self.constant))


DECLARED = {"free": -0.3, "share": 0.25, "inside": 3.0, "scale": 0.5, "tau": 7.0, "edge": 0.0}
LEARNED = {"free", "raw_share", "raw_inside", "raw_scale", "raw_tau", "raw_edge", "same"}


@pytest.mark.parametrize("name", DECLARED)
def test_starts_at_its_default_or_at_what_is_given(name):
    assert getattr(Whole(), name).item() == pytest.approx(DECLARED[name], abs=1e-7)
    other = {"free": 9.0, "share": 0.9, "inside": 5.5, "scale": 8.0, "tau": 1.5, "edge": 1.0}[name]
    neuron = Whole(**{name: other})
    assert getattr(neuron, name).item() == pytest.approx(other)
    assert getattr(neuron, name).shape == (1,), "what FSDP2 takes"


def test_what_the_state_holds():
    neuron = Whole()
    names = {name for name, _ in neuron.named_parameters()}
    assert names == LEARNED | {"raw_modes.0", "raw_modes.1"}
    assert {"constant", "threshold", "u_0"} < dict(neuron.named_buffers()).keys()
    twin = Whole(share=0.8, tau=30.0, constant=1.0)
    twin.load_state_dict(neuron.state_dict())
    assert twin.tau == neuron.tau
    assert twin.constant == 2


def test_bounds_hold_for_ever():
    neuron = Whole()
    with torch.no_grad():
        for parameter in neuron.parameters():
            parameter.fill_(-200.0)
    assert neuron.share == 0
    assert neuron.inside == 2
    assert neuron.scale >= 0
    assert neuron.tau == 1
    assert neuron.edge == 0
    with torch.no_grad():
        for parameter in neuron.parameters():
            parameter.fill_(60.0)
    assert neuron.share == neuron.edge == 1
    assert neuron.inside == 6


def test_compiled_as_the_loop_computes():
    x = torch.randn(6, 4, 5, dtype=torch.float64)
    neuron = Whole(share=(0.1, 0.9), features=5, per="neuron", backend="cpu").double()
    loop = copy.deepcopy(neuron)
    loop.backend = "reference"
    for one in (neuron, loop):
        (one(x) * torch.arange(5.0)).sum().backward()
    for (name, a), b in zip(neuron.named_parameters(), loop.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-12, msg=name)


def test_a_spread_is_drawn_per_element():
    torch.manual_seed(0)
    neuron = Whole(1000, per="neuron", tau=(2.0, 200.0), share=(0.2, 0.4), free=(-1.0, 1.0))
    logs = neuron.tau.detach().log()
    assert math.log(2) <= logs.min() < logs.max() <= math.log(200) + 1e-5
    assert logs.mean().item() == pytest.approx(math.log(400) / 2, abs=0.1), "log-uniform"
    assert neuron.share.mean().item() == pytest.approx(0.3, abs=0.01), "uniform between two bounds"
    assert neuron.free.mean().item() == pytest.approx(0.0, abs=0.1), "uniform without bounds"
    first, second = neuron.modes
    assert first.shape == (1000,)
    assert not torch.equal(first, second)


def test_a_layer_starts_in_the_middle_of_a_spread():
    neuron = Whole(tau=(2.0, 50.0), share=(0.2, 0.4))
    assert neuron.tau.item() == pytest.approx(10)
    assert neuron.share.item() == pytest.approx(0.3)


@pytest.mark.parametrize("per", ["channel", "neuron"])
def test_tensors(per):
    start = torch.tensor([2.0, 3.0, 4.0])
    neuron = LIF((3,), per=per, tau=start, threshold=start)
    assert torch.equal(neuron.tau, start)
    assert torch.equal(neuron.threshold, start)
    maps = CubaLIF((3, 2, 2), per="channel", tau_mem=start.reshape(3, 1, 1))
    assert maps.tau_mem.flatten().tolist() == pytest.approx([2, 3, 4])
    with pytest.raises(
        ValueError, match=r"tau: expected a number, a pair, or a shape .*got \(3,\)"
    ):
        LIF(tau=start)


def test_what_is_learned():
    assert not list(Whole(learn=False, learn_threshold=True, learn_initial=True).parameters())
    assert not list(LNM(learn=False).parameters())
    assert {n for n, _ in LIF(learn=("tau", "threshold", "u_0")).named_parameters()} == {
        "raw_tau",
        "threshold",
        "u_0",
    }
    assert not dict(MultiTimescale(learn=False).named_parameters())
    assert [n for n, _ in CubaLIF(learn=("tau_syn",)).named_parameters()] == ["raw_tau_syn"]
    with pytest.raises(ValueError, match=r"learn: unknown name 'tua'\. Did you mean 'tau'"):
        LIF(learn=("tua",))


def test_a_declaration_in_another_ones_place():
    neuron = AdLIF(beta=Learned(0.5, low=0.0, high=1.0))
    assert neuron.beta.item() == pytest.approx(0.5)
    with torch.no_grad():
        neuron.raw_beta.fill_(-100.0)
    assert neuron.beta == 0
    assert AdLIF().beta.item() == pytest.approx(0.975), "for this instance alone"


def test_assigning_starts_again_in_place():
    neuron = PLIF()
    parameter = neuron.raw_tau
    neuron.tau = 5.0
    assert neuron.tau.item() == pytest.approx(5)
    assert neuron.raw_tau is parameter, "an optimiser holds it"


@pytest.mark.parametrize("learn", [True, False])
def test_every_kind_is_assigned(learn):
    neuron = Whole(3, per="neuron", learn=learn)
    values = {"free": -2.0, "share": 0.7, "edge": 1.0, "constant": 5.0, "threshold": 0.4}
    for name, value in values.items():
        setattr(neuron, name, value)
        assert getattr(neuron, name).tolist() == pytest.approx([value] * 3), name
    neuron.tau = torch.tensor([2.0, 3.0, 4.0])
    assert neuron.tau.tolist() == pytest.approx([2, 3, 4])
    neuron.modes = [2.0, 3.0, 4.0]
    assert len(neuron.modes) == 3
    with pytest.raises(ValueError, match="share: expected"):
        neuron.share = 2.0


def test_assigned_in_the_modules_dtype():
    neuron = LIF().double()
    neuron.tau = 3.0
    assert neuron.tau.dtype == torch.float64
    assert neuron.tau.item() == 3


def test_a_state_dict_is_assigned_to_a_neuron_without_memory():
    with torch.device("meta"):
        neuron = Whole()
    full = Whole(tau=4.0, constant=3.0)
    neuron.load_state_dict(full.state_dict(), assign=True)
    assert neuron.tau.item() == pytest.approx(4)
    assert neuron.constant == 3
    assert neuron.free.requires_grad


def test_resets_and_windows_have_the_neurons_granularity():
    value = torch.tensor([0.1, -0.2, 0.3])
    neuron = LIF((3,), per="neuron", reset=HardReset(value, learn=True))
    assert torch.equal(neuron.reset.value, value)
    seen = neuron.record(torch.full((1, 1, 3), 2.0))
    assert torch.equal(seen["u"][0, 0], value)
    assert MultiTimescale((3,), per="neuron").reset.value.shape == (3,)
    drawn = LIF((50,), per="neuron", reset=SmoothReset((0.1, 0.9))).reset.mix
    assert drawn.shape == (50,)
    assert drawn.max() - drawn.min() > 0.3
    assert LIF((4, 2, 2), per="channel", surrogate=Triangle(0.5, learn=True)).spike.width.shape == (
        4,
        1,
        1,
    )
    with pytest.raises(ValueError, match=r"reset: expected value as one number .*per='layer'"):
        LIF(reset=HardReset(value))


def test_by_name():
    assert isinstance(LIF(surrogate="Gaussian").spike, Gaussian)
    assert isinstance(LIF(surrogate="arctan").spike, ArcTan)
    assert isinstance(LIF(reset="HardReset").reset, HardReset)
    assert LIF(reset="learned").reset.value.requires_grad
    with pytest.raises(ValueError, match="surrogate: unknown name 'Gausian'"):
        LIF(surrogate="Gausian")
    with pytest.raises(TypeError, match="surrogate: expected a name or a Surrogate, got 3"):
        LIF(surrogate=3)


def test_signature_documentation_and_repr():
    arguments = inspect.signature(Whole).parameters
    assert arguments["share"].default == 0.25
    assert arguments["count"].default == 2
    assert arguments["per"].default == "layer"
    assert "modes" not in arguments
    assert "tau: above one (default 7.0, above 1)." in Whole.__doc__
    assert "constant: not learned (default 2.0, at least 1, not learned)." in Whole.__doc__
    frozen = Whole().requires_grad_(False)
    assert "learned)" not in repr(frozen)
    shown = repr(Whole(scale=3.0))
    assert "scale=3 (learned)" in shown
    assert "constant=2," in shown
    assert "modes=[6.325, 6.325] (learned)" in shown
    assert "tau=2..9" in repr(LIF(2, per="neuron", tau=torch.tensor([2.0, 9.0])))


def test_exact_in_double_precision():
    neuron = LIF(tau=3.0).double()
    x = torch.rand(5, 3, dtype=torch.float64)
    seen = neuron.record(x[:2] / 2)["u"]
    torch.testing.assert_close(seen[1], x[0] / 3 + x[1] / 2, rtol=1e-15, atol=0)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert PLIF(tau=3.0).raw_tau.item() == math.log(2)
        assert LIF(threshold=0.1).threshold.item() == 0.1
    finally:
        torch.set_default_dtype(before)


def test_built_without_memory():
    with torch.device("meta"):
        neuron = MultiTimescale(8, per="neuron", tau_mem=(2.0, 20.0))
        LNM(8, per="neuron")
    assert all(tensor.is_meta for tensor in neuron.state_dict().values())
    assert "tau_mem=(8,)" in repr(neuron)
    neuron.to_empty(device="cpu").load_state_dict(MultiTimescale(8, per="neuron").state_dict())
    assert neuron(torch.randn(3, 2, 8)).shape == (3, 2, 8)


def test_copies_and_pickles():
    neuron = Whole(tau=3.0)
    for twin in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))):
        assert torch.equal(twin.tau, neuron.tau)
        twin.tau = 9.0
        assert neuron.tau.item() == pytest.approx(3)


def test_states_of_an_instance():
    class Modes(Neuron):
        gain = Learned(vector=True)

        def __init__(self, features=None, *, modes=3, **options):
            self.states = tuple(f"z{k}" for k in range(modes))
            super().__init__(features, **options)
            self.gain = [0.5] * modes

        def step(self, x, *z):
            z = [gain * one + x for gain, one in zip(self.gain, z, strict=True)]
            s, first = self.fire(sum(z[1:], z[0]))
            return s, first, *z[1:]

    for modes in (1, 4):
        neuron = Modes(modes=modes, backend="cpu")
        spikes, state = neuron(torch.randn(5, 2, 3), return_state=True)
        assert len(state) == modes
        spikes.sum().backward()
        assert all(gain.grad is not None for gain in neuron.gain)


def test_everything_by_its_name_at_the_top():
    assert neurodyn.LNM is LNM
    assert neurodyn.Learned is Learned
    with pytest.raises(AttributeError, match="no attribute 'LMN'"):
        neurodyn.LMN  # noqa: B018


def test_a_threshold_in_another_declaration():
    neuron = LIF(threshold=Learned(2.0, low=0.0))
    assert neuron.threshold.item() == pytest.approx(2)
    assert neuron.raw_threshold.requires_grad
    learned = LIF(learn_threshold=True)
    learned.threshold = 0.5
    assert learned.threshold.item() == 0.5
    assert learned.threshold.requires_grad


def test_one_name_to_learn_is_that_name():
    assert [n for n, _ in AdLIF(learn="alpha").named_parameters()] == ["raw_alpha"]
    with pytest.raises(TypeError, match="learn: expected True, False or names, got 1"):
        AdLIF(learn=1)


def test_declarations_of_several_bases():
    class Mixin:
        rho = Learned(0.9, low=0.0, high=1.0)

    class First(Neuron):
        a = Learned(2.0)

    class Second(Neuron):
        b = Learned(3.0)

    class Both(Mixin, First, Second):
        def step(self, x, u):
            return self.fire(self.rho * u + self.a * self.b * x)

    neuron = Both(rho=0.5)
    assert [neuron.rho.item(), neuron.a.item(), neuron.b.item()] == [0.5, 2, 3]

    class Fixed(PLIF):
        tau = 3.0

    assert Fixed().tau == 3
    assert "tau" not in inspect.signature(Fixed).parameters


def test_an_argument_before_the_features():
    class Powers(Neuron):
        def __init__(self, degree, features=None, **options):
            super().__init__(features, **options)
            self.degree = degree

    assert list(inspect.signature(Powers).parameters)[:2] == ["degree", "features"]
    assert Powers(3, 8, per="neuron").threshold.shape == (8,)


def test_a_list_is_a_pair():
    assert BRF(500, per="neuron", omega=[5, 10]).omega.min() >= 5
    assert BRF(omega=None).omega.item() == pytest.approx(7.5)
    assert LIF(reset=HardReset([0.0, 0.2], learn=True)).reset.value.item() == pytest.approx(0.1)


def test_a_part_that_has_moved_is_not_drawn_again():
    window = Triangle((0.5, 2.0))
    assert LIF(50, per="neuron", surrogate=window).spike.width.std() > 0
    window.width = 3.0
    assert LIF(4, per="neuron", surrogate=window).spike.width.tolist() == [3] * 4


def test_a_part_keeps_what_is_not_declared():
    class Table(Triangle):
        def __init__(self):
            super().__init__(0.5)
            self.register_buffer("table", torch.zeros(5))

    assert LIF((3,), per="neuron", surrogate=Table()).spike.table.shape == (5,)


def test_assigning_another_declaration_or_a_vector():
    neuron = PLIF()
    neuron.tau = Learned(3.0, low=1.0, learn=False)
    assert list(neuron.parameters()) == []
    assert neuron.tau == 3
    adaptive = ALIF()
    adaptive.jump = Learned(0.5, learn=False)
    assert "jump" in dict(adaptive.named_buffers())
    adaptive.jump = Learned(0.25)
    assert "jump" in dict(adaptive.named_parameters())
    polynomial = LNM().double()
    numbers = list(polynomial.parameters())
    polynomial.c = [0.0, -0.5, 0.25, 0.0]
    assert polynomial.c[1].item() == -0.5
    assert polynomial.c[1].dtype == torch.float64
    assert all(a is b for a, b in zip(numbers, polynomial.parameters(), strict=True))
    assert len(polynomial.c[1:3]) == 2


def test_equal_instances_share_a_program():
    from neurodyn.step.program import _programs

    x = torch.randn(3, 2, 4)
    BRF(dt=0.02)(x)
    before = len(_programs)
    BRF(dt=0.02, omega=(4.0, 8.0))(x)
    copy.deepcopy(BRF(dt=0.02))(x)
    assert len(_programs) == before


class Scaled(Neuron):
    free = Learned(0.5, scale=0.1)
    share = Learned(0.9, low=0.0, high=1.0, scale=0.2)
    fixed = Learned(0.7, scale=0.1, learn=False)
    c = Learned(vector=True, scale=0.1)

    def __init__(self, features=None, **options):
        super().__init__(features, **options)
        self.c = [0.3, -0.2]

    def step(self, x, u):
        return self.fire(self.share * u + self.free * x + self.fixed * self.c[0] + self.c[1] * u)


def test_a_scale_slows_the_learning_and_nothing_else():
    neuron = Scaled()
    names = {name for name, _ in neuron.named_parameters()}
    assert names == {"raw_free", "raw_share", "raw_c.0", "raw_c.1"}
    start = {name: getattr(neuron, name).item() for name in ("free", "share", "fixed")}
    assert start == pytest.approx({"free": 0.5, "share": 0.9, "fixed": 0.7})
    assert [value.item() for value in neuron.c] == pytest.approx([0.3, -0.2])
    assert neuron.raw_free.item() == pytest.approx(5.0)
    assert neuron.raw_share.item() == pytest.approx(math.log(9) / 0.2)

    (neuron.free + neuron.c[1]).sum().backward()
    torch.optim.Adam([neuron.raw_free, neuron.raw_c[1]], lr=0.01).step()
    assert neuron.free.item() == pytest.approx(0.5 - 0.1 * 0.01, abs=1e-6)
    assert neuron.c[1].item() == pytest.approx(-0.2 - 0.1 * 0.01, abs=1e-6)
    neuron.free = 0.25
    assert neuron.raw_free.item() == pytest.approx(2.5)

    frozen = Scaled(learn=False)
    assert dict(frozen.named_buffers())["free"].item() == 0.5, "stored as its value"
    changes = round_dynamics(frozen, bits=4)
    assert frozen.free.item() == 0.5
    assert frozen.c[0].item() == pytest.approx(5 / 16)
    assert changes["fixed"] == pytest.approx(abs(11 / 16 - 0.7), abs=1e-6)
    learned = Scaled()
    round_dynamics(learned, bits=4)
    assert [value.item() for value in learned.c] == pytest.approx([5 / 16, -3 / 16])
    assert learned.share.item() == pytest.approx(14 / 16)


def test_kernels_of_a_scale():
    torch.manual_seed(0)
    x = torch.randn(9, 2, 4, dtype=torch.float64)
    fast, slow = Scaled(backend="cpu").double(), Scaled(backend="reference").double()
    torch.testing.assert_close(fast.record(x)["h"], slow.record(x)["h"])
    fast(x).sum().backward()
    slow(x).sum().backward()
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_neurons_of_other_scales_have_other_programs():
    class Free(Neuron):
        def __init__(self, scale):
            super().__init__()
            self.start("free", None, Learned(1.0, scale=scale))

        free = Learned(1.0)

        def step(self, x, u):
            return self.fire(self.free * u + x)

    x = torch.full((4, 1, 1), 0.3)
    one, other = Free(0.5), Free(0.1)
    assert torch.equal(one.record(x)["h"], other.record(x)["h"])


def test_a_parametrised_quantity():
    neuron = PLIF(backend="reference")
    torch.nn.utils.parametrize.register_parametrization(neuron, "raw_tau", torch.nn.Identity())
    assert neuron.tau.item() == pytest.approx(2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LIF(0.9), TypeError, r"features: .*got 0.9; parameters go by .*LIF\(tau=...\)"),
        (lambda: LIF(taw=3.0), TypeError, "LIF: unknown name 'taw'. Did you mean 'tau'"),
        (lambda: Whole(share=1.0), ValueError, "share: expected between 0 and 1, got 1.0"),
        (lambda: Whole(edge=1.1), ValueError, "edge: expected from 0 to 1, got 1.1"),
        (lambda: Whole(scale=0.0), ValueError, "scale: expected above 0, got"),
        (lambda: Whole(constant=0.5), ValueError, "constant: expected at least 1, got 0.5"),
        (lambda: Whole(free="high"), TypeError, "free: expected a number or a tensor, got 'high'"),
        (lambda: Whole(tau=float("nan")), ValueError, "tau: expected above 1"),
        (
            lambda: Whole(tau=(5.0, 2.0)),
            ValueError,
            r"tau: .*low <= high, got \(5.0, 2.0\)",
        ),
        (lambda: LIF(threshold=torch.tensor([0.0])), ValueError, "threshold: expected a positive"),
        (lambda: Learned(1.0, low=3.0, high=2.0), ValueError, "low, high: expected low < high"),
        (lambda: AdLIF(beta=0.5), ValueError, r"0.96 to 0.99, got 0.5; beta=Learned\(0.5, low="),
        (lambda: LNM(tau=0.0), ValueError, "tau: expected above 0, got 0.0"),
        (lambda: ConvNet(LNM(), (1, 8, 8), 2), TypeError, r"LNM or partial\(LNM, ...\), not LNM"),
        (lambda: Learned(1.0, scale=0.0), ValueError, "scale: expected a positive number, got 0"),
        (lambda: Learned(1.0, link="tanh"), ValueError, "link: unknown name 'tanh'"),
        (lambda: Learned(1.0, low=0.0, link="logit"), ValueError, "link: 'logit' needs low and"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
