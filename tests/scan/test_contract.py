"""The contract table: neuron x backend x dtype x reset x surrogate x granularity x T x layout.

The full product has millions of rows. Each neuron walks through the options at strides that share
no factor, so that pairs of options meet in many neurons; nothing is drawn at random.
"""

import os

import pytest
import torch

from neurodyn import surrogate as windows
from neurodyn.biophysics import RecordedNeuron
from neurodyn.biophysics.fitting.timestep import Timestep
from neurodyn.neurons import (
    ALIF,
    BRF,
    CLIF,
    EIF,
    GLIF,
    IF,
    KLIF,
    LIF,
    LNM,
    PLIF,
    QIF,
    AdLIF,
    CubaLIF,
    DecayLIF,
    HardReset,
    Izhikevich,
    Modal,
    MultiTimescale,
    Planar,
    Rational,
    Spline,
    TanhNet,
)
from tests.scan.contract import TOLERANCE, Adaptive, check, error, run

NEURONS = {
    "IF": IF,
    "LIF": LIF,
    "PLIF": lambda *a, **k: PLIF(*a, decay_input=True, **k),
    "QIF": lambda *a, **k: QIF(*a, lower=-3.0, **k),
    "LNM": LNM,
    "LNM-smooth": lambda *a, **k: LNM(*a, clip="smooth", degree=2, form="absorbed", **k),
    "MultiTimescale": lambda *a, learn_threshold, **k: MultiTimescale(*a, **k),
    "Adaptive": Adaptive,
}


def bent(neuron):
    """With powers that count: they start at 0."""
    neuron.c = [0.03 * (-1) ** k for k in range(len(neuron.c))]
    return neuron


def recorded(wait):
    """A cell as `fit` finds them; with `wait`, it is silent as many steps after a spike."""
    neuron = LNM(degree=3, start=(0.0, -0.73, 0.93, -0.5))
    cell = Timestep(
        neuron=neuron,
        level=1.4,
        share=2.0,
        parts=5,
        after=0.9,
        wait=wait,
        currents=((0.13, 0.3), (0.07, 0.9)),
        thresholds=((0.3, 0.4),),
    )
    return lambda *a, reset, detach_reset=False, **k: RecordedNeuron(*a, cell=cell, **k)


# Made of what the others are made of: two rows each, as every row is a compilation.
FEWER = {
    "PLIF-mixed-reset": lambda *a, reset, detach_reset=False, **k: PLIF(*a, reset="smooth", **k),
    "KLIF": KLIF,
    "DecayLIF": DecayLIF,
    "ALIF": ALIF,
    "AdLIF": lambda *a, reset, detach_reset=False, **k: AdLIF(*a, **k),
    "CubaLIF": CubaLIF,
    "EIF": EIF,
    "Izhikevich": lambda *a, reset, **k: Izhikevich(*a, **k),
    "CLIF": lambda *a, reset, **k: CLIF(*a, **k),
    "GLIF": lambda *a, reset, detach_reset=False, **k: GLIF(*a, **k),
    "BRF": BRF,
    "Planar": lambda *a, reset, detach_reset=False, **k: Planar(*a, **k),
    "Modal": lambda *a, reset, detach_reset=False, **k: Modal(*a, feedback="soft", **k),
    "Modal-real": lambda *a, reset, detach_reset=False, **k: Modal(*a, oscillate=False, **k),
    "Planar-powers": lambda *a, reset, detach_reset=False, **k: bent(
        Planar(*a, degree=3, coupling="full", clip="smooth", feedback="soft", **k)
    ),
    "Modal-powers": lambda *a, reset, detach_reset=False, **k: bent(Modal(*a, degree=2, **k)),
    "LNM-spread": lambda *a, **k: LNM(*a, start="spread", horizon=30, **k),
    "Rational": Rational,
    "Spline": Spline,
    "Spline-cubic": lambda *a, **k: Spline(*a, order=3, points=4, clip="smooth", **k),
    "TanhNet": lambda *a, **k: TanhNet(*a, units=2, clip="none", **k),
}


def graded(cls):
    """Made with a threshold low enough for several spikes in one step."""
    return lambda *a, reset, detach_reset=False, **k: cls(
        *a, reset="soft", detach_reset=detach_reset, emission="graded", threshold=0.35, **k
    )


GRADED = {f"{cls.__name__}-graded": graded(cls) for cls in (IF, LIF, PLIF, DecayLIF)}
FEWER |= GRADED
FEWER |= {"Recorded": recorded(wait=0), "Recorded-held": recorded(wait=2)}
# What `backend="parallel"` runs.
LINEAR = {
    "Planar": FEWER["Planar"],
    "Modal-linear": lambda *a, reset, detach_reset=False, **k: Modal(*a, **k),
    "Modal-real": FEWER["Modal-real"],
}
RESETS = [
    {"reset": "hard"},
    {"reset": "soft"},
    {"reset": "none"},
    {"reset": "soft", "detach_reset": True},
    {"reset": HardReset, "value": -0.2},
]
WINDOWS = [
    lambda: windows.Triangle(learn=True),
    lambda: windows.Rectangle(1.0),
    lambda: windows.Sigmoid(0.7, learn=True),
    lambda: windows.FastSigmoid(1.0),
    lambda: windows.ArcTan(1.0, learn=True),
    lambda: windows.Gaussian(1.5),
    lambda: windows.Exponential(1.0),
    lambda: windows.MultiGaussian(1.0, learn=True),
]
STEPS = [4, 1, 17, 3, 64, 257]
# (features, granularity, batch): sizes that divide nothing, maps larger and smaller than a column.
SHAPES = [
    ((1,), "layer", 1),
    ((63,), "neuron", 3),
    ((1000,), "layer", 1),
    ((5, 3, 3), "channel", 4),
    ((3, 9, 11), "channel", 2),
    ((7, 4, 4), "neuron", 2),
    ((300,), "neuron", 2),
]
LAYOUTS = ["plain", "channels last", "every second", "batch first"]
ROWS = 6


TABLE = [
    pytest.param(name, (ROWS + 1) * n + i, id=f"{name}-{i}")
    for n, name in enumerate(NEURONS | FEWER)
    for i in range(ROWS if name in NEURONS | GRADED else 2)
]


def laid_out(x, layout):
    """The same numbers elsewhere in memory."""
    if layout == "channels last" and x.ndim == 5:
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return flat.unflatten(0, x.shape[:2])
    if layout == "every second":
        return torch.stack([x, x], 2)[:, :, 0]
    if layout == "batch first":
        return x.transpose(0, 1).contiguous().transpose(0, 1)
    return x


def build(name, j):
    features, per, batch = SHAPES[j % len(SHAPES)]
    # Above its critical potential a parabola runs away, unless a hard reset brings it back.
    reset = dict(RESETS[4 * (j % 2) if name == "QIF" else j % len(RESETS)])
    if "value" in reset:
        reset = {"reset": HardReset(reset["value"], learn=True)}
    options = {"learn_threshold": j % 2 == 0, "learn_initial": j % 3 == 0}
    neuron = (NEURONS | FEWER | LINEAR)[name](
        features, per=per, surrogate=WINDOWS[(3 * j + j // 8) % len(WINDOWS)](), **reset, **options
    )
    with torch.no_grad():
        for p in neuron.parameters():
            p.add_(0.05 * torch.randn_like(p))
    x = 0.7 * torch.randn(STEPS[j % len(STEPS)], batch, *features) + 0.2
    state = None
    if j % 4 == 1:
        state = tuple(0.3 * torch.randn(x.shape[1:]) for _ in neuron.states)
    return neuron, laid_out(x, LAYOUTS[(j // 2) % len(LAYOUTS)]), state


@pytest.mark.parametrize(("name", "j"), TABLE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_cpu(name, j, dtype):
    if dtype == torch.float64 and j % 3:
        pytest.skip("a third of the rows in float64: only the literals differ")
    neuron, x, state = build(name, j)
    check(neuron, x, "cpu", dtype, state)


@pytest.mark.parametrize("name", GRADED)
def test_graded_rows_have_several_spikes_in_one_step(name):
    rows = [build(name, row.values[1]) for row in TABLE if row.values[0] == name]
    assert sum(bool(neuron(x, state).max() >= 2) for neuron, x, state in rows) >= 4


@pytest.mark.parametrize("j", range(8))
@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
def test_parallel(name, j, dtype):
    neuron, x, state = build(name, j)
    check(neuron, x, "parallel", dtype, state)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize(("name", "j"), TABLE)
def test_gpu_interpreted(name, j):
    neuron, x, state = build(name, j)
    check(neuron, x[:33], "gpu", torch.float32, state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
@pytest.mark.parametrize("name", ["LIF", "LNM", "MultiTimescale", "ALIF", "LIF-graded"])
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_narrow_storage(backend, name, dtype):
    """The arithmetic is float32; an input's gradient is as exact as its dtype can say."""
    if backend == "gpu" and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("needs TRITON_INTERPRET=1")
    neuron = (NEURONS | FEWER)[name](
        (5, 3, 3),
        per="channel",
        learn_threshold=True,
        surrogate=windows.Triangle(learn=True),
        **({"reset": "soft"} if name in GRADED else {}),
    )
    x = laid_out(torch.randn(17, 2, 5, 3, 3).to(dtype), "channels last")
    weight, final = torch.randn(x.shape).to(dtype), torch.randn(x.shape[1:])
    truth = run(neuron, x, weight, final, "reference")
    for key, value in run(neuron, x, weight, final, backend).items():
        assert value is None or value.dtype == truth[key].dtype
        bound = torch.finfo(dtype).eps if key == "x" else TOLERANCE[torch.float32]
        assert error(value, truth[key]) <= bound, key


@pytest.mark.parametrize("per", ["channel", "neuron"])
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_a_batch_of_one(backend, per):
    """Parameters then differ over the slowest dimension in memory."""
    if backend == "gpu" and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("needs TRITON_INTERPRET=1")
    neuron = LNM((7, 4, 4), per=per, learn_threshold=True)
    check(neuron, torch.randn(17, 1, 7, 4, 4), backend, torch.float32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("name", "j"), TABLE)
def test_gpu(name, j):
    neuron, x, state = build(name, j)
    check(neuron.cuda(), x.cuda(), "gpu", torch.float32, state)
