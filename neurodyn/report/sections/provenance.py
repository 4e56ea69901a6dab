"""Settings, and where the runs come from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from neurodyn.analysis.pictures import short_name
from neurodyn.comparison.folder import distinct
from neurodyn.report.context import Context, note
from neurodyn.report.html import Markup, el


def show(context: Context) -> Markup:
    """Commands, versions and machines; what all contenders share, and what differs."""
    starts = [start for run in context.folder.runs for start in run.starts]
    facts = [(name, values) for name, values in _facts(starts) if values]
    origin = el(
        "dl",
        [
            [el("dt", name), [el("dd", el("code", v) if name == "command" else v) for v in values]]
            for name, values in facts
        ],
    )
    parts = [origin if facts else note("No run recorded its commands, versions and machine.")]
    settings = {
        neuron: context.folder.settings(run) for neuron, run in context.folder.firsts().items()
    }
    settings = {neuron: found for neuron, found in settings.items() if found}
    if not settings:
        return el("div", *parts, note("No run has settings: config.yaml is missing."))
    keys = sorted({key for found in settings.values() for key in found})
    same = [key for key in keys if len(_values(settings, key)) == 1]
    differing = [key for key in keys if key not in same and key != "seed_everything"]
    if differing:
        parts += [el("h3", "What differs between contenders"), _differences(settings, differing)]
    whole = next(iter(settings.values()))
    rows = [[key, str(whole[key])] for key in same if key != "seed_everything"]
    shared = "Settings of all contenders" if len(settings) > 1 else "Settings"
    parts.append(
        el("details", el("summary", f"{shared} ({len(rows)})"), _table(["setting", "value"], rows))
    )
    return el("div", *parts)


def _facts(starts: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Names, and the distinct values over all starts. Nothing is trusted to be there."""
    yield "command", distinct(_command(start) for start in starts if start.get("command"))
    yield "neurodyn", distinct(_version(start) for start in starts)
    packages = (start.get("packages") for start in starts)
    yield (
        "packages",
        distinct(
            ", ".join(f"{name} {version}" for name, version in found.items() if version)
            for found in packages
            if isinstance(found, dict)
        ),
    )
    machines = (start.get("machine") for start in starts)
    yield "machine", distinct(_machine(found) for found in machines if isinstance(found, dict))
    dates = sorted(str(start["date"])[:16].replace("T", " ") for start in starts if "date" in start)
    yield "started", [" to ".join(distinct([dates[0], dates[-1]]))] if dates else []


def _command(start: dict[str, Any]) -> str:
    words = start["command"]
    return shlex.join(map(str, words)) if isinstance(words, list) else str(words)


def _version(start: dict[str, Any]) -> str:
    git = start.get("git")
    commit = f", commit {str(git.get('commit'))[:12]}" if isinstance(git, dict) else ""
    changed = " with uncommitted changes" if commit and git.get("changed") else ""  # type: ignore[union-attr]
    return f"{start.get('neurodyn', 'unknown version')}{commit}{changed}"


def _machine(found: dict[str, Any]) -> str:
    kind = f" ({found['instructions']})" if found.get("instructions") else ""
    threads = found.get("threads")
    count = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
    return f"{found.get('gpu') or found.get('processor', 'unknown processor')}{kind}{count}"


def _values(settings: dict[str, dict[str, Any]], key: str) -> set[str]:
    return {str(found.get(key)) for found in settings.values()}


def _differences(settings: dict[str, dict[str, Any]], keys: list[str]) -> Markup:
    rows = [[_last(key), *(str(found.get(key, "")) for found in settings.values())] for key in keys]
    return _table(["setting", *map(short_name, settings)], rows, labelled=True)


def _last(key: str) -> str:
    """A setting by the end of its key: `neuron.degree`."""
    parts = [part for part in key.split(".") if part != "init_args"]
    return ".".join(parts[-2:])


def _table(headings: list[str], rows: list[list[str]], *, labelled: bool = False) -> Markup:
    """A table. On a telephone each row is a block, in which labelled values say whose they are."""
    head = el("tr", [el("th", heading, scope="col") for heading in headings])
    body = []
    for first, *rest in rows:
        named = zip(rest, headings[1:], strict=True)
        cells = [el("td", value, data_of=of if labelled else None) for value, of in named]
        body.append(el("tr", el("th", first, scope="row"), cells))
    table = el("table", el("thead", head), el("tbody", body), class_="settings")
    return el("div", table, class_="scroll", tabindex=0)
