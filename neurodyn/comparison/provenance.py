"""Where results come from: everything besides the configuration that is needed to repeat a run."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import neurodyn
from neurodyn.comparison.folder import Runs, by_neuron, distinct

PACKAGES = ("torch", "lightning", "torchmetrics", "jsonargparse", "kornia", "numpy", "llvmlite")

ROUNDING = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA")
"""Variables that choose other kernels, and so another rounding."""


def provenance() -> dict[str, Any]:
    """Versions, machine, git state and command line of this process."""
    return {
        "neurodyn": neurodyn.__version__,
        "git": git_state(),
        "command": [_program(), *_said(sys.argv[1:])],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "instructions": _instructions(),
            "environment": {name: os.environ[name] for name in ROUNDING if name in os.environ},
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _program() -> str:
    """The command as one types it; `python -m neurodyn` is `neurodyn`."""
    name = Path(sys.argv[0]).name
    return "neurodyn" if name in ("__main__.py", "-c") else name


def _said(arguments: list[str]) -> Iterator[str]:
    """The arguments without the place of the data, which differs from machine to machine."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--data.root":
            next(rest, None)
        elif not argument.startswith("--data.root="):
            yield argument


@cache
def git_state() -> dict[str, Any] | None:
    """The commit that neurodyn runs from, and whether files differ from it; None if installed.

    It is read once: a commit made later is not the code that runs.
    """
    here = Path(neurodyn.__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def origin(runs: Runs) -> str:
    """Where runs come from, in Markdown: commands, commits, machines, days, hours of training."""
    starts = [start for run in runs for start in run["starts"]]
    epochs = distinct(str(run["epochs"]) for run in runs)
    days = sorted(start["date"][:10] for start in starts)
    torch_versions = distinct(start["packages"]["torch"] for start in starts)
    machines = distinct(_machine(start) for start in starts)
    commands = distinct(shlex.join(start["command"]) for start in starts)
    hours = sum(run["seconds"] for run in runs) / 3600
    return "\n".join(
        [
            *("```", *commands, "```"),
            f"{' or '.join(epochs)} epochs; {commits(runs)}; "
            f"PyTorch {', '.join(torch_versions)}, on {' and '.join(machines)}; "
            f"{' to '.join(distinct([days[0], days[-1]]))}; {hours:.2f} hours of training in all.",
        ]
    )


def commits(runs: Runs) -> str:
    """The commits that runs were started from: one for all, or one for each group of neurons.

    A neuron with more than two commits shows the first and the last; `+` marks uncommitted changes.
    """
    by_code: dict[str, list[str]] = {}
    for neuron, starts in by_neuron(runs, lambda run: run["starts"]).items():
        codes = distinct(_code(start) for group in starts for start in group)
        made = f"{codes[0]} to {codes[-1]}" if len(codes) > 2 else ", ".join(codes)
        by_code.setdefault(made, []).append(neuron)
    most = max(by_code, key=lambda made: len(by_code[made]))
    if len(by_code) == 1:
        text = f"commit {most}"
    else:
        others = {made: ", ".join(names) for made, names in by_code.items() if made != most}
        rest = "the others" if len(by_code[most]) > 1 else by_code[most][0]
        parts = [f"{names}: {made}" for made, names in others.items()]
        text = f"commits: {'; '.join([*parts, f'{rest}: {most}'])}"
    return f"{text} (+ with uncommitted changes)" if "+" in "".join(by_code) else text


def _code(start: dict[str, Any]) -> str:
    git = start["git"]
    if not git:
        return f"of release {start['neurodyn']}"
    commit: str = git["commit"][:7]
    return f"{commit}+" if git["changed"] else commit


def _machine(start: dict[str, Any]) -> str:
    machine = start["machine"]
    threads = machine["threads"]
    count = f"{threads} thread{'s' if threads > 1 else ''}"
    kind = f" ({machine['instructions']})" if "instructions" in machine else ""
    return machine["gpu"] or f"{count} of {machine['processor']}{kind}"


def _instructions() -> str:
    """What decides how a CPU rounds: the kind of processor that our kernels are compiled for, and
    the instruction set of PyTorch's. The same name of a processor can stand for several."""
    from llvmlite.binding import get_host_cpu_name

    return f"{get_host_cpu_name()}, {torch.backends.cpu.get_cpu_capability()}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0].split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
