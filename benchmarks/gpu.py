"""Everything that is owed on a GPU, most important first; and what can be read without one.

    neurodyn bench gpu --minutes 8 --out FOLDER [--parts contract,kernels] [--resume]
    neurodyn bench gpu --minutes 30 --wheels FOLDER --data-parts FOLDER --data ~/data --out FOLDER
    neurodyn bench gpu --compile-only [--rows LNM:bfloat16:16 ...]
    neurodyn bench gpu --dry-run

Each part is a process of its own with a budget of its own, so that one that fails or hangs leaves
the others their time. A part gets its share of the minutes that are left. What it has measured is
in `FOLDER/<part>.json` after every case; with `--resume`, parts that are done are not run again,
and the others continue. The table of all parts is printed last, and written to `FOLDER/gpu.md`.

    contract    the contract table of the tests on the device, the main neurons first
    kernels     the speed of copies; LIF, QIF, LNM, MultiTimescale, LNM per channel by T and dtype
    tune        other sizes of blocks; the fastest are written to `FOLDER/sizes.json`
    resnet19    a training step of ResNet-19, T=4, bfloat16, channels last, also with SpikingJelly
    speed       the recipe `cifar10-speed`, LNM and then LIF
    epochs      the recipe `cifar10-resnet19`, LNM, for as many epochs as fit
    psmnist     the recipe `psmnist`, LNM, for as many epochs as fit

The last three train by `neurodyn compare`. The machine may have no network: `--wheels` installs
packages from a folder of wheels, `--data-parts` joins archives that came in pieces. `--dry-run`
runs all of it on the CPU on the smallest work there is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks._pieces import join, unpack
from benchmarks._results import FOLDER, Results

SHARES = {
    "contract": 0.15, "kernels": 0.3, "tune": 0.25, "resnet19": 0.3, "speed": 0.5, "epochs": 0.5,
    "psmnist": 1.0,
}  # fmt: skip
"""The parts in their order, each with its share of the time that is left."""
LEAST = 20.0
"""Seconds below which a part is not started."""
OUT = Path("runs/gpu")


def run_part(name: str, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    """Run a part in a process of its own; returns what it wrote."""
    command = [sys.executable, "-m", "benchmarks._gpu_parts", name, "--out", str(options.out)]
    command += ["--seconds", f"{seconds:.0f}", "--data", str(options.data)]
    command += ["--dry-run"] if options.dry_run else []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if options.site:
        path = [str(options.site), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    if options.dry_run and name in ("contract", "tune"):
        environment["TRITON_INTERPRET"] = "1"
    started = time.monotonic()
    # In a group of its own, so that what it has started ends with it.
    part = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        status = part.wait(timeout=seconds)
        why = f"exit status {status}" if status else ""
    except subprocess.TimeoutExpired:
        why = "out of time"
    finally:
        if part.poll() is None:
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()
    path = options.out / f"{name}.json"
    found = json.loads(path.read_text()) if path.is_file() else {"cases": {}}
    found["took"], found["why"] = time.monotonic() - started, why
    path.write_text(json.dumps(found, indent=1) + "\n")
    return dict(found)


def done(name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """What a part has written, if it has ended."""
    path = options.out / f"{name}.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found if found.get("ended") else None


def table(results: dict[str, dict[str, Any]]) -> str:
    """All parts, and a line for each of their cases."""
    lines = ["# On a GPU", ""]
    facts = next((r["facts"] for r in results.values() if r.get("facts")), {})
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    for name, found in results.items():
        ending = "" if found.get("ended") else f"; not to its end: {found.get('why') or 'cut off'}"
        lines += ["", f"### {name}", "", f"{found.get('took', 0):.0f} s{ending}", ""]
        for title, case in found["cases"].items():
            said = ", ".join(f"{key} {value}" for key, value in case.items())
            lines.append(f"- {title}: {said}")
    return "\n".join(lines) + "\n"


def install(wheels: Path, site: Path) -> None:
    """Install a folder of wheels where the parts find it, without a network."""
    files = sorted(map(str, wheels.glob("*.whl")))
    if not files:
        sys.exit(f"wheels: expected wheels in {wheels}, found none")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*command, "--upgrade", "--target", str(site), *files], check=True)


def compile_only(options: argparse.Namespace) -> None:
    """Read the kernels as machine code."""
    os.environ.pop("TRITON_INTERPRET", None)  # Read when Triton is imported, which comes now.
    from benchmarks import _kernels

    rows = options.rows or [
        f"{name}:{dtype}:{steps}"
        for name in _kernels.CLASSES
        for dtype in _kernels.DTYPES
        for steps in _kernels.LENGTHS
    ]
    facts = {name: version(name) for name in ("torch", "triton")}
    results = Results("gpu-kernels", _kernels.HEADING, facts, [], _kernels.table, options)
    cases: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        name, dtype, steps = row.split(":")
        cases.setdefault(name, []).append((dtype, int(steps)))
    for name, wanted in cases.items():
        if name not in results:
            found = [row for dtype, steps in wanted for row in _kernels.reading(name, dtype, steps)]
            results.add(name, {"rows": found})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="neurodyn bench gpu", description="On a GPU.")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts together")
    parser.add_argument("--parts", help=f"comma-separated; default: {','.join(SHARES)}")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install first")
    parser.add_argument("--data-parts", type=Path, help="folder of archives in pieces")
    parser.add_argument("--data", type=Path, default=Path("~/.cache/neurodyn/data").expanduser())
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, the smallest work")
    parser.add_argument("--compile-only", action="store_true", help="read the machine code")
    parser.add_argument("--rows", nargs="+", help="with --compile-only: class:dtype:T")
    parser.add_argument("--resume", action="store_true", help="leave out parts that have ended")
    parser.add_argument("--out", type=Path, help=f"default: {OUT}; of --compile-only: results")
    options = parser.parse_args(arguments)
    if options.compile_only:
        options.out = options.out or FOLDER
        compile_only(options)
        return
    options.out = options.out or OUT
    names = options.parts.split(",") if options.parts else list(SHARES)
    if unknown := [name for name in names if name not in SHARES]:
        sys.exit(f"parts: expected some of {', '.join(SHARES)}, got {', '.join(unknown)}")
    end = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    options.site = options.out / "site" if options.wheels else None
    if options.wheels:
        install(options.wheels, options.site)
    if options.data_parts:
        for archive in join(options.data_parts, options.out / "archives"):
            unpack(archive, options.data)
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        earlier = done(name, options) if options.resume else None
        if not options.resume:
            (options.out / f"{name}.json").unlink(missing_ok=True)
        left = end - time.monotonic()
        seconds = left if name == names[-1] else SHARES[name] * left
        if earlier is not None:
            results[name] = earlier
        elif seconds < LEAST and not options.dry_run:
            results[name] = {"cases": {}, "why": f"{seconds:.0f} s were left"}
        else:
            results[name] = run_part(name, seconds, options)
    text = table(results)
    (options.out / "gpu.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
