"""Runs that are compared as arms: how each was trained, and whether all were trained alike."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from neurodyn.comparison.settings import leaves


def training(folder: str | Path) -> dict[str, Any]:
    """How a run was trained: its settings, except which features were embedded, by name."""
    config = yaml.safe_load((Path(folder) / "config.yaml").read_text(encoding="utf-8"))
    kept = {name: config[name] for name in ("model", "data", "seed_everything")}
    del kept["model"]["init_args"]["network"]["init_args"]["embed"]
    kept["max_epochs"] = config["trainer"]["max_epochs"]
    return {key.replace(".init_args", ""): value for key, value in leaves("", kept)}


def budget(folder: str | Path) -> str:
    """The budget of a run in words."""
    found = training(folder)
    traces = found["data.traces"] - found["data.validation"]
    return (
        f"{found['max_epochs']} epochs of {traces:,} traces, schedule "
        f"{found.get('model.schedule', 'plateau')}"
    )


def check_equal(folders: Mapping[str, str]) -> None:
    """Exit if runs were trained in different ways."""
    (first, known), *others = [(name, training(folder)) for name, folder in folders.items()]
    for name, found in others:
        wrong = sorted(k for k in {*known, *found} if known.get(k) != found.get(k))
        if wrong:
            sys.exit(
                f"arms: expected one training for all, got another {', '.join(wrong)} for {name} "
                f"than for {first}"
            )
