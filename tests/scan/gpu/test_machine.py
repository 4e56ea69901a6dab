"""GPU kernels compile for a real GPU, and fit its registers, whether there is one or not."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# All operations, the neuron that the project is about, several states, and hostile names.
CELLS = ["LNM", "ALIF", "arithmetic", "choices", "powers", "smooth", "steps", "crowded"]


@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton is not installed")
def test_kernels_compile_for_a_gpu(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.scan.gpu.machine", *CELLS],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    rows = [line.split() for line in run.stdout.splitlines()]
    assert [row[0] for row in rows[::2]] == CELLS
    # What does not fit into registers goes through memory, which is what kernels are to spare.
    assert all(int(row[4]) == 0 for row in rows if row[0] in ("LNM", "ALIF"))
