"""GPU kernels as machine code of a GPU that need not be there: they compile, fit its registers,
read wide and do not wait. A kernel that changes for the worse fails here, not on the day."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neurodyn.scan.gpu.machine import _listing, _waits

ROOT = Path(__file__).parents[3]
# All operations, several states, and hostile names.
CELLS = ["ALIF", "arithmetic", "choices", "powers", "smooth", "steps", "crowded"]
FEW = ["ALIF", "crowded"]
# For each row: registers, bytes of most loads, waits, instructions of a thread per element and
# step, and the model's time over that of the sequences, of the forward and the backward kernel.
# Bounds leave room for another version of the compiler.
QUICK = {
    "LNM:bfloat16:16": [(80, 16, 0, 22, 1.15), (100, 8, 0, 62, 1.2)],
    "LIF:bfloat16:16": [(80, 16, 0, 14, 1.15), (64, 8, 0, 34, 1.15)],
    "Planar per neuron:float32:4": [(80, 16, 2, 16, 1.05), (96, 8, 4, 44, 1.1)],
}
SLOW = {
    "LNM per channel:bfloat16:16": [(80, 8, 0, 30, 1.2), (144, 4, 0, 80, 1.4)],
    "MultiTimescale:float32:16": [(64, 16, 0, 32, 1.25), (168, 4, 3, 170, 1.5)],
    "QIF:float32:4": [(48, 16, 4, 16, 1.05), (64, 16, 6, 46, 1.05)],
    "LNM, few elements:bfloat16:16": [(64, 4, 0, 30, 1.15), (80, 4, 0, 70, 1.2)],
    "LNM:bfloat16:4": [(48, 16, 4, 20, 1.1), (88, 16, 6, 56, 1.1)],
    "LNM:float32:16": [(48, 16, 0, 22, 1.1), (128, 16, 0, 58, 1.1)],
    "LNM:float32:4": [(48, 16, 4, 22, 1.05), (72, 16, 6, 60, 1.05)],
    "LIF:float32:4": [(48, 16, 3, 16, 1.05), (64, 16, 5, 30, 1.05)],
    "LIF:float32:16": [(48, 16, 0, 14, 1.1), (80, 16, 0, 32, 1.1)],
    "LIF:bfloat16:4": [(48, 16, 4, 14, 1.05), (72, 16, 5, 32, 1.05)],
    "QIF:float32:16": [(48, 16, 0, 18, 1.1), (96, 16, 0, 46, 1.1)],
    "QIF:bfloat16:4": [(48, 16, 4, 16, 1.05), (80, 16, 5, 46, 1.05)],
    "QIF:bfloat16:16": [(80, 16, 0, 18, 1.15), (96, 8, 0, 50, 1.15)],
    "MultiTimescale:float32:4": [(64, 16, 4, 40, 1.05), (128, 8, 7, 180, 1.4)],
    "MultiTimescale:bfloat16:4": [(72, 16, 5, 32, 1.1), (128, 8, 5, 90, 1.5)],
    "MultiTimescale:bfloat16:16": [(112, 16, 0, 34, 1.45), (255, 4, 3, 160, 1.4)],
    "LNM per channel:float32:4": [(80, 16, 3, 18, 1.05), (80, 8, 5, 60, 1.1)],
    "LNM per channel:float32:16": [(96, 16, 0, 28, 1.1), (128, 8, 0, 80, 1.1)],
    "LNM per channel:bfloat16:4": [(72, 8, 4, 22, 1.1), (80, 4, 4, 64, 1.2)],
    "LNM per channel, first:float32:4": [(48, 16, 4, 60, 1.05), (80, 16, 5, 80, 1.05)],
    "LNM per channel, first:float32:16": [(64, 16, 0, 30, 1.1), (192, 16, 0, 72, 1.1)],
    "LNM per channel, first:bfloat16:4": [(56, 16, 4, 24, 1.05), (128, 16, 6, 60, 1.1)],
    "LNM per channel, first:bfloat16:16": [(112, 16, 0, 26, 1.15), (192, 8, 0, 72, 1.2)],
    "Planar per neuron:float32:16": [(112, 16, 0, 20, 1.15), (144, 4, 0, 64, 1.15)],
    "Planar per neuron:bfloat16:4": [(80, 8, 2, 18, 1.05), (80, 4, 4, 48, 1.1)],
    "Planar per neuron:bfloat16:16": [(80, 8, 0, 24, 1.3), (176, 4, 0, 64, 1.25)],
}
needs_triton = pytest.mark.skipif(
    not importlib.util.find_spec("triton"), reason="Triton is not installed"
)


def python(*arguments, cache):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(cache)}
    run = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


@needs_triton
@pytest.mark.parametrize(
    "cells", [FEW, pytest.param(CELLS, marks=pytest.mark.slow)], ids=["quick", "slow"]
)
def test_kernels_compile_for_a_gpu(tmp_path, cells):
    rows = [
        line.split() for line in python("tests.scan.gpu.cells", *cells, cache=tmp_path).splitlines()
    ]
    assert [row[0] for row in rows[::2]] == cells
    # What does not fit into registers goes through memory, which is what kernels are to spare.
    assert all(int(row[3]) == 0 for row in rows if row[0] == "ALIF")


@needs_triton
@pytest.mark.parametrize(
    "bounds", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)], ids=["quick", "slow"]
)
def test_kernels_are_no_worse_than_they_were(tmp_path, bounds):
    python(
        "benchmarks.gpu", "--compile-only", "--rows", *bounds, f"--out={tmp_path}", cache=tmp_path
    )
    cases = json.loads((tmp_path / "gpu-kernels.json").read_text())["cases"]
    found = {}
    for name, case in cases.items():
        for row in case["rows"]:
            found.setdefault(f"{name}:{row['dtype']}:{row['steps']}", []).append(row)
    worse = [
        f"{row} {kernel['direction']}: {problem}"
        for row, limits in bounds.items()
        for kernel, limit in zip(found[row], limits, strict=True)
        for problem in problems(kernel, *limit)
    ]
    assert not worse, "\n".join(worse)


def problems(kernel, registers, width, waits, instructions, ratio):
    """What exceeds its bound."""
    most = max(kernel["loads"], key=lambda load: kernel["loads"][load] * int(load))
    said = {
        "registers": kernel["registers"] <= registers,
        # Sines of large arguments, of parameters, take 32 bytes of it.
        "stack": kernel["stack"] <= 32 * kernel["trigonometry"],
        "loads": int(most) >= width,
        "waits": kernel["waits"] <= waits,
        "each": kernel["each"] <= instructions,
        "ratio": kernel["ratio"] <= ratio,
    }
    return [f"{name} {kernel.get(name)}" for name, good in said.items() if not good]


def test_a_wait_is_an_instruction_that_needs_a_load_since_the_last():
    listing = _listing(
        "\n".join(
            f"        /*{i:04x}*/                   {text} ;"
            for i, text in enumerate(
                [
                    "LDG.E.128 R4, desc[UR4][R2.64]",
                    "LDG.E.64 R8, desc[UR4][R2.64]",
                    "FADD R0, R7, R1",  # Waits; the other load was under way as well.
                    "FADD R0, R9, R0",
                    "LDG.E R8, desc[UR4][R2.64]",
                    "STG.E desc[UR4][R2.64], R8",  # Waits.
                ]
            )
        )
    )
    assert _waits(listing) == 2
