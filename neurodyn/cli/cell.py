"""The command `fit-cell`: a neuron fitted to a recording."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from neurodyn.cli.options import add_command

KERNELS = {
    "currents": "spike-triggered currents",
    "thresholds": "the moving threshold",
    "lags": "the low-passed input",
}


def add_parser(commands: Any) -> None:
    """Add the parser of the command."""
    parser = add_command(commands, "fit-cell", "fit a neuron to a recording of a cell")
    parser.add_argument("file", type=Path, help=".abf, .nwb, .ibw, .txt, or a folder of .ibw")
    parser.add_argument("--neuron", default="lnm", help="the neuron, such as lnm, lif, qif, eif")
    parser.add_argument("--degree", type=int, help="of an lnm's polynomial (default: 3)")
    for name, what in KERNELS.items():
        parser.add_argument(
            f"--{name}", type=float, nargs="*", help=f"time constants of {what} [ms]"
        )
    parser.add_argument("--refractory", type=float, help="silence after a spike [ms]")
    parser.add_argument("--threshold", type=float, help="potential that spikes cross [mV]")
    parser.add_argument("--protocol", help="read only sweeps with this in their names")
    parser.add_argument("--dt", type=float, help="time between samples [ms], if the file has none")
    parser.add_argument(
        "--timestep", type=float, help="say what a layer of the cell does in it [ms] (default: 10)"
    )
    parser.add_argument("--out", type=Path, help="folder (default: in runs/cells)")


def fit_cell(known: argparse.Namespace) -> str:
    """Fit, score on what was held out, write the folder, and say what a layer of the cell is.

    Repeats of one current are split in the middle; of several currents, every other sweep is held
    out. LIF is fitted in the same way beside the neuron, so that it shows what the neuron's
    equation adds.
    """
    from neurodyn import LIF
    from neurodyn.biophysics.fitting import fit
    from neurodyn.biophysics.fitting.page import check_folder, write_folder
    from neurodyn.biophysics.recordings import Recording
    from neurodyn.errors import require

    require("matplotlib.figure", "train")  # Before the fit, which would be lost.
    chosen = _neuron(known.neuron, known.degree)
    folder = known.out or Path("runs") / "cells" / known.file.stem
    check_folder(folder)
    reading = {} if known.threshold is None else {"threshold": known.threshold}
    recording = Recording.read(known.file, dt=known.dt, protocol=known.protocol, **reading)
    print(recording)
    train, test = _held_out(recording)
    given = {name: getattr(known, name) for name in (*KERNELS, "refractory")}
    options = {name: value for name, value in given.items() if value is not None}
    fits = {}
    for neuron in (chosen, *([] if type(chosen) is LIF else [LIF()])):
        fitted = fit(neuron, train, **options)
        fits[type(neuron).__name__] = fitted, fitted.score(test)
        print(f"{fitted}\n  held out: {fits[type(neuron).__name__][1]}")
    write_folder(fits, test, folder, known.file.stem)
    print(_layer(next(iter(fits.values()))[0], known.timestep))
    return f"{folder / 'index.html'}"


def _layer(cell: Any, timestep: float | None) -> str:
    """The cell as a layer, in words. A timestep that it cannot have does not cost the fit."""
    try:
        return repr(cell.neuron() if timestep is None else cell.neuron(dt=timestep))
    except ValueError as error:
        return f"no layer at this timestep: {error}"


def _held_out(recording: Any) -> tuple[Any, Any]:
    """What is fitted, and what is held out."""
    if len(recording.repeats) == 1:
        first, second = recording.split(recording.duration / 2)
        return first, second
    return recording[::2], recording[1::2]


def _neuron(name: str, degree: int | None) -> Any:
    from neurodyn import neurons
    from neurodyn.errors import unknown

    known = {n.lower(): c for n, c in vars(neurons).items() if isinstance(c, type)}
    known = {n: c for n, c in known.items() if issubclass(c, neurons.Neuron)}
    if name.lower() not in known:
        raise unknown("neuron", name, known)
    if degree is not None and name.lower() != "lnm":
        raise ValueError(f"degree: expected with --neuron lnm, got {name}")
    return known[name.lower()](**({} if degree is None else {"degree": degree}))
