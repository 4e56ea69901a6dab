"""Exported networks: loaded by a process that has PyTorch alone, and by onnxruntime."""

import subprocess
import sys
from itertools import product

import pytest
import torch

from neurodyn.layers import CSGRU, Delayed, Recurrent, repeat
from neurodyn.models import ConvNet
from neurodyn.neurons import ALIF, LIF, LNM, QIF
from neurodyn.surrogate import Triangle

SHAPE = (1, 8, 8)
NETWORKS = {
    "LNM": lambda: (ConvNet(LNM, SHAPE, 4, widths=(8, 8)), SHAPE),
    "QIF": lambda: (QIF((6,), per="channel"), (6,)),
    "Delayed": lambda: (Delayed((6,), order=5), (6,)),
    # Its width is found by quadrature, which ONNX has no operators for.
    "ALIF": lambda: (ALIF(surrogate=Triangle("derived")), (6,)),
    "Recurrent": lambda: (Recurrent(6, neuron=LIF), (6,)),
    "CSGRU": lambda: (CSGRU(6, 4, threshold=0.2), (6,)),
}
STEPS = (4, 32)
LOAD = """
import sys, torch
from pathlib import Path
for net in Path().glob("*.pt2"):
    x, expected = torch.load(net.with_suffix(".pt"))
    assert torch.equal(torch.export.load(net).module()(x), expected), net
assert not [name for name in sys.modules if "neurodyn" in name]
"""


def case(name, steps):
    torch.manual_seed(0)
    network, shape = NETWORKS[name]()
    return network.eval(), 2 * torch.randn(steps, 2, *shape)


def test_programs_run_without_the_package(tmp_path):
    for name, steps in product(NETWORKS, STEPS):
        network, x = case(name, steps)
        program = torch.export.export(network, (x,))
        assert steps == 4 or len(program.graph.nodes) < 150, f"the loop of {name} is unrolled"
        torch.export.save(program, tmp_path / f"{name}-{steps}.pt2")
        torch.save((x, network(x).detach()), tmp_path / f"{name}-{steps}.pt")
    subprocess.run([sys.executable, "-I", "-c", LOAD], cwd=tmp_path, check=True)


@pytest.mark.parametrize("strict", [False, True])
def test_a_program_runs_for_any_time_and_batch(strict):
    network, x = case("LNM", 20)
    sizes = ({0: torch.export.Dim("T", min=9, max=999), 1: torch.export.Dim("B", max=999)},)
    program = torch.export.export(network, (x,), dynamic_shapes=sizes, strict=strict).module()
    for steps, batch in ((20, 2), (33, 5), (10, 1)):
        x = torch.randn(steps, batch, *SHAPE)
        assert torch.equal(program(x), network(x))


def test_an_example_that_repeats_a_frame_says_nothing_of_other_frames():
    network, x = case("LNM", 12)
    program = torch.export.export(network, (repeat(x[0], 12),)).module()
    assert torch.equal(program(x), network(x))


def test_a_step_that_is_no_body_of_a_loop_is_unrolled(monkeypatch):
    network, x = case("QIF", 12)

    def refuse(*_):
        raise RuntimeError("not captured")

    monkeypatch.setattr("neurodyn.scan.reference.loop_operator", lambda: refuse)
    program = torch.export.export(network, (x,))
    assert len(program.graph.nodes) > 150
    assert torch.equal(program.module()(x), network(x))


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name, steps, tmp_path):
    why = "onnxruntime and onnxscript are needed: pip install 'neurodyn[export]'"
    runtime = pytest.importorskip("onnxruntime", reason=why)
    pytest.importorskip("onnxscript", reason=why)
    network, x = case(name, steps)
    path = tmp_path / "net.onnx"
    torch.onnx.export(network, (x,), dynamo=True, verbose=False).save(path)
    session = runtime.InferenceSession(path)
    (given,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(given), network(x).detach())
