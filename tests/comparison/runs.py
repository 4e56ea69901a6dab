"""Finished runs in a folder, without training."""

from neurodyn.comparison.folder import write_json


def start(date, command, commit="abc1234def", changed=False, gpu=None):
    return {
        "neurodyn": "1.0",
        "git": {"commit": commit, "changed": changed},
        "command": command.split(),
        "date": date,
        "packages": {"torch": "2.13"},
        "machine": {"gpu": gpu, "threads": 2, "processor": "Some CPU"},
    }


def finished(folder, neuron, seed, accuracy, starts):
    home = folder / neuron / f"seed-{seed}"
    result = {
        **dict.fromkeys(("firing_rate", "spikes", "sops", "energy_nJ", "parameters"), 1.0),
        "neuron": neuron,
        "seed": seed,
        "metric": "accuracy",
        "beside": {},
        "score": accuracy,
        "val_score": 75.0,
        "epochs": 2,
        "curve": [50.0, 75.0],
        "seconds": 1800.0,
        "starts": starts,
    }
    write_json(home / "result.json", result)
