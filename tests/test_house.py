"""The house itself: what it imports, and in which direction."""

import subprocess
import sys
from pathlib import Path


def imported(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_neurons_need_no_training_packages():
    modules = imported("import neurodyn.neurons, neurodyn.layers, neurodyn.models, neurodyn.data")
    assert "torch" in modules
    assert not modules & {"lightning", "matplotlib", "sklearn", "kornia", "jsonargparse", "pooch"}


def test_imports_run_downward():
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
