"""What a change of the house must not change: every neuron's kernels, every recipe's parameters.

python -m tests.golden          write `golden.json` again, after a change that was meant
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import torch

from neurodyn.training.find import recipe_names
from neurodyn.training.recipe import Recipe

FILE = Path(__file__).with_name("golden.json")
BACKENDS = ("cpu", "gpu")


def neuron_classes():
    import neurodyn.neurons as room

    classes = [value for value in vars(room).values() if isinstance(value, type)]
    base = room.Neuron
    return [cls for cls in classes if issubclass(cls, base) and cls.step is not base.step]


def kernel_hash(cls, backend):
    """The hash of a neuron's printed kernels, import lines left out."""
    lines = cls().kernel_source(backend).splitlines()
    kept = [line for line in lines if not line.startswith(("import ", "from "))]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def state_hash(recipe):
    """The hash of the keys and shapes of the state of a recipe's network."""
    with torch.random.fork_rng():
        model = Recipe(["--config", recipe], run=False).model
    state = [(key, tuple(value.shape)) for key, value in model.network.state_dict().items()]
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def kernels():
    return {
        "llvmlite": version("llvmlite"),
        **{
            f"{cls.__name__} {b}": kernel_hash(cls, b) for cls in neuron_classes() for b in BACKENDS
        },
    }


def networks():
    return {name: state_hash(name) for name in recipe_names()}


if __name__ == "__main__":
    FILE.write_text(json.dumps({"kernels": kernels(), "networks": networks()}, indent=1) + "\n")
