"""A small comparison with a course, an activity and a checkpoint, and what can go wrong in one."""

import json

import numpy as np

from neurodyn.comparison.course import Course, Layer

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


def course(epochs=3, modes=False):
    """A layer of maps, or of modes, that change from epoch to epoch."""
    if modes:
        frames = [np.array([[0.9 + 0.3j, 0.9 - 0.3j]] * 2) * (1 - 0.1 * e) for e in range(epochs)]
    else:
        u = np.linspace(-2.0, 1.6, 46)
        frames = [np.stack([u * (0.5 + 0.1 * e), u * 0.5], 1) for e in range(epochs)]
    return Course(
        list(range(epochs)), [Layer("body.1", "layer 1, 64 neurons", "neuron", 1.0, frames)]
    )


def activity():
    """Two layers and a read-out, by hand."""
    synapses = {"macs": 100.0, "sops": 50.0, "analog": False, "updates": 0.0, "spikes": 0.0}
    neurons = {"macs": 0.0, "sops": 0.0, "analog": False, "updates": 40.0, "spikes": 8.0}
    dense = {**synapses, "operations": [0, 0], "words": 0}
    cells = {**neurons, "operations": [1, 1], "words": 2}
    layers = {
        "body.0": {**dense, "analog": True},
        "body.1": cells,
        "body.2": dense,
        "body.3": cells,
    }
    return {"samples": 2, "layers": {**layers, "head": dense}}


def add(folder, neuron, seed, score, *, modes=False, label=None, **more):
    """A finished run without a checkpoint."""
    home = folder / neuron / f"seed-{seed}"
    home.mkdir(parents=True)
    numbers = dict.fromkeys(("firing_rate", "spikes", "sops", "energy_nJ", "seconds"), 1.5)
    result = {
        **numbers,
        "neuron": label or neuron,
        "seed": seed,
        "metric": "accuracy",
        "beside": {},
        "score": score,
        "val_score": score,
        "parameters": 100,
        "epochs": 2,
        "curve": [score - 20, score + seed],
        "confusion": [[8, 2], [1, 9]],
        "starts": [{"date": "2026-05-01T10:00:00", "command": ["neurodyn", "compare"]}],
        **more,
    }
    (home / "result.json").write_text(json.dumps(result))
    (home / "activity.json").write_text(json.dumps(activity()))
    (home / "config.yaml").write_text(f"model:\n  network:\n    neuron: {neuron}\n    width: 64\n")
    course(modes=modes).save(home / "dynamics.npz")
    return home
