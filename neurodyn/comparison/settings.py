"""The settings that make a run what it is, and those that may change when it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from neurodyn.files import FROM, digest

PLACE = (
    *(f"data.init_args.{name}" for name in ("root", "download", "workers", "on_device")),
    *("checkpoint", "last_checkpoint", "trainer.accelerator", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.log_every_n_steps", "trainer.enable_progress_bar"),
    "trainer.enable_model_summary",
)
"""Settings, with all below them, that say where a run happens and what it shows."""


def lasting_settings(config: str) -> dict[str, Any]:
    """The settings of a YAML configuration that make a run what it is, by their full keys.

    Those that are None are left out. So an option that this version has and an older one had not
    makes no difference.
    """
    settings = dict(leaves("", yaml.safe_load(config)))
    return {
        key: value
        for key, value in sorted(settings.items())
        if value is not None and not any(f"{key}.".startswith(f"{place}.") for place in PLACE)
    }


def saved_settings(path: Path) -> dict[str, Any]:
    """The lasting settings of a run's `config.yaml`; an error names the file."""
    try:
        return lasting_settings(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML, got {error}") from error


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """For each setting that differs a phrase with both values."""
    return [
        f"{key} is {there.get(key)} there, {here.get(key)} here"
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key)
    ]


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What lies at or below a key, by full keys. What was read of a file is one value, the file's
    name and a digest."""
    if isinstance(value, dict) and FROM in value:
        yield key, f"{value[FROM]} ({digest({k: v for k, v in value.items() if k != FROM})})"
        return
    if not isinstance(value, dict):
        yield key, value
        return
    for name, below in value.items():
        yield from leaves(f"{key}.{name}" if key else str(name), below)
