"""Model cards: weights as safetensors, settings, and a README that hubs read."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from torch import nn

import neurodyn
from neurodyn.analysis.activity import aligned
from neurodyn.declared import Declared
from neurodyn.files import write
from neurodyn.layers import GatedCell
from neurodyn.neurons import Neuron
from neurodyn.training.allowed import PLACES as PLACES_OF_CLASSES
from neurodyn.training.place import CONFIG, WEIGHTS
from neurodyn.training.trained import Trained
from neurodyn.training.weights import write_saved

KEPT = ("seed_everything", "trainer", "model", "data")
"""The sections of `config.yaml` that a card has."""

PLACES = {
    "data": ("root", "download", "workers", "on_device"),
    "trainer": ("logger", "default_root_dir", "accelerator", "devices", "num_nodes", "strategy"),
}
"""Settings that say where a training ran. They are left out of a card."""

TASKS = {
    "classes": "classification",
    "labels": "multi-label classification",
    "values": "regression",
}

MANY = 4
"""Types of samples that are not listed one by one."""

HEADINGS = {
    "firing_rate": "spikes per neuron and step",
    "spikes": "spikes",
    "sops": "synaptic operations",
    "energy_nJ": "energy of arithmetic [nJ]",
}

ENERGY = "neurodyn counts operations at 45 nm; no chip was measured"


def write_card(run: Trained, folder: Path, licence: str | None = None) -> Path:
    """Write the model card of a trained model; returns its folder, which `load` takes.

    The folder has `model.safetensors`, `config.yaml`, `run.json` (epoch, results and what the data
    set has to know) and `README.md`.

    Args:
        run: the model.
        folder: where to.
        licence: of the weights, as hubs spell it, such as "apache-2.0".
    """
    write_saved(folder, run.saved)
    write(folder / CONFIG, yaml.safe_dump(_config(run.config), sort_keys=False))
    write(folder / "README.md", card(run, licence))
    return folder


def write_cards(runs: Iterable[Trained], folder: Path, licence: str | None = None) -> list[Path]:
    """Write the model cards of several trained models, each into a folder of its own, and a table
    of them, `README.md`; returns the folders and the table's path."""
    done: list[Path] = []
    rows = [["model", "network", "data", "score", "parameters", "energy [nJ]", "weights [kB]"]]
    for run in runs:
        home = write_card(run, folder / _name(run), licence)
        if home in done:
            raise ValueError(f"run: expected different ones, got two for {home}")
        done.append(home)
        score = next((f"{name} {value:.2f} %" for name, value in run.metrics.items()), "")
        energy = run.metrics.get("energy_nJ")
        size = (home / WEIGHTS).stat().st_size / 1000
        rows.append(
            [
                f"[{home.name}]({home.name}/README.md)",
                run.kind,
                run.data_name,
                score,
                f"{run.parameters:,}",
                "" if energy is None else f"{energy:,.1f}",
                f"{size:,.0f}",
            ]
        )
    text = [
        "# Trained models",
        "Each folder is a model card with its weights. Load one with "
        '`neurodyn.load("FOLDER")`, or predict with `neurodyn predict FOLDER FILES...`.',
        aligned(rows),
        "Scores are on the test set; those that say validation are not. Energy per sample: "
        f"{ENERGY}.",
    ]
    done.append(write(folder / "README.md", "\n\n".join(text) + "\n"))
    return done


def card(run: Trained, licence: str | None = None) -> str:
    """The README of a model card, in Markdown with the front matter that hubs read."""
    front = yaml.safe_dump(_front_matter(run, licence), sort_keys=False, allow_unicode=True)
    sections = {
        f"# {_name(run)}": f"{run.kind}, a spiking network: {_task(run)}.",
        "## Use": _use(run),
        "## Task and data": _data(run),
        "## Results": _results(run),
        "## Neurons": _neurons(run),
        "## Provenance": _provenance(run),
        "## Limits": _limits(run, licence),
    }
    body = "\n\n".join(f"{title}\n{text}" for title, text in sections.items())
    return f"---\n{front}---\n\n{body}\n"


def _front_matter(run: Trained, licence: str | None) -> dict[str, Any]:
    data, name = run.data_name, _name(run)
    metrics = [
        {"type": key, "value": round(value, 4)}
        for key, value in run.metrics.items()
        if not key.startswith("validation")
    ]
    split = {"name": _title(run), "type": data.lower(), "split": "test"}
    result = {"task": {"type": TASKS[run.targets.kind]}, "dataset": split, "metrics": metrics}
    return {
        **({"license": licence} if licence else {}),
        "library_name": "neurodyn",
        "tags": ["spiking-neural-network", "neurodyn", type(run.network).__name__.lower()],
        "datasets": [data.lower()],
        **({"model-index": [{"name": name, "results": [result]}]} if metrics else {}),
    }


def _use(run: Trained) -> str:
    samples = ", ".join(map(str, ("N", *run.sample_shape)))
    dtypes = getattr(run.data, "dtypes", ())
    kinds = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
    kinds = kinds if len(dtypes) < MANY else "numbers"
    modules = _modules([run.config["data"], run.config["model"]])
    imports = ", imports=[" + ", ".join(f'"{module}"' for module in modules) + "]"
    needs = f"It needs the author's {' and '.join(f'`{m}`' for m in modules)}.\n\n"
    return (
        f"{needs if modules else ''}```\nimport neurodyn\n\n"
        f'run = neurodyn.load("FOLDER"{imports if modules else ""})  # the folder of this card\n'
        f"run.predict(samples)  # {', '.join(filter(None, (f'({samples})', kinds)))}\n```"
    )


def _modules(settings: Any) -> list[str]:
    """The modules of classes in settings that have to be allowed to load them, sorted."""
    if isinstance(settings, list):
        return sorted({module for value in settings for module in _modules(value)})
    if not isinstance(settings, dict):
        return []
    found = _modules([*settings.values()])
    module = str(settings.get("class_path", "")).rpartition(".")[0]
    ours = not module or any(f"{module}.".startswith(f"{place}.") for place in PLACES_OF_CLASSES)
    return found if ours else sorted({*found, module})


def _task(run: Trained) -> str:
    return f"{TASKS[run.targets.kind]}, {run.asked}"


def _title(run: Trained) -> str:
    source = getattr(run.data, "source", None)
    return source.title if source else run.data_name


def _data(run: Trained) -> str:
    options = _config(run.config)["data"].get("init_args", {})
    shown = ", ".join(f"{key}={value}" for key, value in options.items() if value is not None)
    source: Any = getattr(run.data, "source", None)
    licence = source.licence if source else getattr(run.data, "licence", "")
    classes = ", ".join(run.classes) if run.targets.names else ""
    lines = [
        f"- Task: {_task(run)}.",
        f"- Data: {_title(run)} (`{run.config['data']['class_path']}`).",
        f"- Licence of the data: {licence or 'not recorded here; see their source'}.",
        *([f"- Outputs: {classes}."] if classes else []),
        f"- Settings: {shown or 'the defaults'}.",
    ]
    return "\n".join(lines)


def _results(run: Trained) -> str:
    if not run.metrics:
        return "None were measured with these weights."
    rows = [[HEADINGS.get(name, name), _number(value)] for name, value in run.metrics.items()]
    seed = run.saved.result.get("seed", run.config.get("seed_everything"))
    where = "On the test set, the epoch chosen on validation data. " if run.saved.result else ""
    activity = f" Activity and energy are per sample: {ENERGY}." if run.saved.result else ""
    return (
        f"{aligned([['measured', 'value'], *rows])}\n\n{where}The first value is in percent. "
        f"Seed {seed}, epoch {run.saved.epoch}.{activity} Parameters: {run.parameters:,}."
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _neurons(run: Trained) -> str:
    """A line per neuron, or per gated cell: its parameters, and those of its spike and reset."""
    lines = [
        f"- `{name}`: {', '.join(filter(None, map(_shown, (part, *part.children()))))}"
        for name, part in run.network.named_modules()
        if isinstance(part, Neuron | GatedCell)
    ]
    return "\n".join(lines) or "The network has no neurons."


def _shown(part: nn.Module) -> str:
    return f"{type(part).__name__}({part.shown()})" if isinstance(part, Declared) else ""


def _provenance(run: Trained) -> str:
    starts = run.saved.result.get("starts", [])
    lines = [f"- Card written by neurodyn {neurodyn.__version__}."]
    for start in starts:
        git = start.get("git")
        commit = "a release" if not git else f"commit {git['commit'][:12]}"
        changed = " with uncommitted changes" if git and git.get("changed") else ""
        packages = ", ".join(
            f"{name} {version}" for name, version in start.get("packages", {}).items() if version
        )
        lines += [
            f"- {start.get('date', 'unknown date')}: neurodyn {start.get('neurodyn')}, {commit}"
            f"{changed}; {packages}.",
            f"  `{shlex.join(start.get('command', []))}`",
        ]
    if not starts:
        lines.append("- The run has no record of versions, commit and command.")
    elif recipe := _recipe(starts[0].get("command", [])):
        lines.insert(1, f"- Recipe: {recipe}. All settings: `{CONFIG}`.")
    return "\n".join(lines)


def _recipe(command: list[str]) -> str | None:
    """The name of the recipe that a command names."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == "--config":
            return Path(following).stem
        if word.startswith("--config="):
            return Path(word.partition("=")[2]).stem
    return None


def _limits(run: Trained, licence: str | None) -> str:
    options = run.config["data"].get("init_args", {})
    lines = [
        "- One training with one seed; others end elsewhere.",
        f"- Tested only on the test set of {_title(run)}. Not tested: data from other "
        "sources, noise, other numbers of timesteps, lower precision, attacks.",
        "- Probabilities are the softmax or sigmoid of scores and were not calibrated.",
        f"- The energy is an estimate: {ENERGY}.",
    ]
    if run.targets.kind == "values":
        lines.pop(2)
    if not run.saved.result:
        lines[1] = "- Not tested: there is no measurement on a test set."
    if options.get("limit") is not None:
        lines.append(f"- Trained on {options['limit']} samples only.")
    if not licence:
        lines.append("- No licence was given for these weights.")
    return "\n".join(lines)


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that say where the training ran."""
    kept = {name: config[name] for name in KEPT if name in config}
    options = {
        key: Path(value).name if key == "path" and isinstance(value, str) else value
        for key, value in config["data"].get("init_args", {}).items()
        if key not in PLACES["data"]
    }
    trainer = {
        key: value
        for key, value in (config.get("trainer") or {}).items()
        if key not in PLACES["trainer"] and not key.startswith("enable_")
    }
    return {**kept, "trainer": trainer, "data": {**config["data"], "init_args": options}}


def _name(run: Trained) -> str:
    """A name from the folders of a run: `digits-lnm-seed-0`."""
    folder = run.place.folder.resolve()
    if folder.name == "card":
        folder = folder.parent
    parts = [folder.name]
    if folder.name.startswith(("seed-", "version_")):
        parents = folder.parents if folder.name.startswith("seed-") else folder.parents[:1]
        parts = [parent.name for parent in reversed(list(parents)[:2])] + parts
    return "-".join(filter(None, parts))
