"""Neurons fitted to recorded cells: scores on what was held out.

    neurodyn bench recordings --data ~/data/ephys

The folder is that of the recordings, with gif_pozzorini2015 and abf_current_clamp in it. Repeats of
one current are fitted on one half of the time and scored on the other, both ways; of step families,
every other sweep is held out. With --choose, options are chosen, one after the other, within what
is fitted: for repeats, fits to the first and to the last 70 % of the half have to make the spikes
of its rest likely; for families, a fit to two in three sweeps has to fire as often as the cell did
in all of them. What was held out is scored once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._results import FOLDER, write_page
from neurodyn import LNM
from neurodyn.biophysics import Fitted, Recording, fit

NEURONS = {"linear": lambda: LNM(degree=1), "cubic": lambda: LNM(degree=3)}
KERNELS: dict[str, dict[str, Any]] = {
    "two": {"currents": (8.0, 90.0), "thresholds": (10.0, 150.0), "lags": (5.0,)},
    "three": {
        "currents": (10.0, 100.0, 500.0),
        "thresholds": (5.0, 50.0, 500.0),
        "lags": (5.0, 50.0, 500.0),
    },
    "four": dict.fromkeys(("currents", "thresholds", "lags"), (2.0, 10.0, 50.0, 200.0)),
    "five": {
        "currents": (2.0, 10.0, 50.0, 300.0, 3000.0),
        "thresholds": (2.0, 10.0, 50.0, 300.0, 3000.0),
        "lags": (2.0, 10.0, 50.0, 200.0, 1000.0),
    },
}
"""Time constants to choose from [ms]."""
OFFERED = {"repeats": ("two", "three", "four"), "families": ("two", "three", "five")}
"""Kernels of seconds need sweeps that begin in other states: ten seconds of one noise hardly tell
their traces from a constant, and a fit to them fails where the traces begin at 0."""
VOLTAGES = (0.004, 0.001, 0.015, 0.06)
"""Weights of the voltage to choose from."""
REFRACTORIES = (None, 2.0, 8.0)
"""Refractory times to choose from [ms]; those that end before the shortest interval."""
KEPT = 0.7
"""Of the half that is fitted, what the choices are fitted to."""
STRETCH = 100.0
"""A step of current lasts as long, at least [ms]."""
LEAST = 40
"""Spikes, of which half are held out."""
GIF = "gif_pozzorini2015"
STEPS: dict[str, tuple[slice, dict[str, Any]]] = {
    "bluepyefe_traces/B6": (slice(None), {}),
    "bluepyefe_traces/B8": (slice(None), {}),
    "bluepyefe_traces": (slice(None), {}),
    # Its voltage is off by 50 mV, and five currents do not reach the cell: its notes say so.
    "bluepyefe_traces/hippocampus-portal/99111002.nwb": (slice(5, None), {"threshold": 45.0}),
    "abf_current_clamp/171116sh_0017.abf": (slice(None), {}),
    "abf_current_clamp/171116sh_0018.abf": (slice(None), {}),
    "abf_current_clamp/17o05027_ic_ramp.abf": (slice(None), {}),
    "abf_current_clamp/17o05028_ic_steps.abf": (slice(None), {}),
    "abf_current_clamp/18713001.abf": (slice(None), {}),
    "abf_current_clamp/2019_07_24_0055_fsi.abf": (slice(None), {}),
    "abf_current_clamp/File_axon_5.abf": (slice(None), {}),
    "brian_if_fitting/current.txt": (slice(None), {}),
}
"""Sweeps and options of reading, of each recording."""


def choice(make: Any, train: Recording, steps: int) -> tuple[str, dict[str, Any]]:
    """The options that do best within `train`. Of repeats, those whose fits to the first and to the
    last 70 %, by half of the steps, make the spikes of the rest likeliest; of families, those whose
    fit to two in three sweeps has the least f-I error in all of `train`. (Likelihood is no guide
    there: with the recorded spikes given, a voltage far from the recorded one makes them likelier,
    and by itself such a cell fires at wrong rates.) First the kernels are chosen, then with these
    the weight of the voltage, then the refractory time. With too few spikes for this, the defaults.
    """
    repeated = len(train.repeats) == 1
    if repeated:
        folds = [train.split(KEPT * train.duration), train.split((1 - KEPT) * train.duration)[::-1]]
        steps = max(steps // 2, 1)
    else:
        folds = [(train[[k for k in range(train.sweeps) if k % 3 != 1]], train[1::3])]
    for part, rest in folds:
        if sum(map(len, part.spikes)) < LEAST or not any(map(len, rest.spikes)):
            return "-", {}
    shortest = min(np.diff(times).min() for times in train.spikes if len(times) > 1)
    stages: list[dict[str, dict[str, Any]]] = [
        {name: KERNELS[name] for name in OFFERED["repeats" if repeated else "families"]},
        {f"voltage {weight}": {"voltage": weight} for weight in VOLTAGES},
        {
            "refractory " + ("default" if time is None else f"{time:g}"): {"refractory": time}
            for time in REFRACTORIES
            if time is None or time < shortest
        },
    ]
    # What is not chosen yet is the first of its stage.
    chosen = {k: v for stage in stages for k, v in next(iter(stage.values())).items()}
    names, seen = [], {}
    for stage in stages:
        losses = {}
        for name, options in stage.items():
            tried = {**chosen, **options}
            if (key := str(tried)) not in seen:
                seen[key] = np.mean([_loss(make, train, *fold, steps, tried) for fold in folds])
            losses[name] = seen[key]
            print(f"  {name}: {losses[name]:.3f}", flush=True)
        names.append(min(losses, key=lambda name: losses[name]))
        chosen = {**chosen, **stage[names[-1]]}
    return ", ".join(names), chosen


def _loss(
    make: Any, train: Recording, part: Recording, rest: Recording, steps: int, options: Any
) -> float:
    fitted = fit(make(), part, steps=steps, progress=False, **options)
    error = None if len(train.repeats) == 1 else off(curve(fitted, train))
    return fitted.score(rest, runs=2).nll if error is None else error


def measured(make: Any, train: Recording, test: Recording, **options: Any) -> dict[str, Any]:
    """Scores, the processor's seconds of the fit, and f-I curves of both parts."""
    begin = time.process_time()
    fitted = fit(make(), train, progress=False, **options)
    seconds = time.process_time() - begin
    own, held_out = curve(fitted, train), curve(fitted, test)
    return {
        **fitted.score(test)._asdict(),
        "seconds": seconds,
        "cell": repr(fitted),
        "f-I": held_out,
        "f-I error": off(held_out),
        "f-I error, fitted": off(own),
    }


def curve(fitted: Fitted, part: Recording) -> list[tuple[int, float, int, float]]:
    """Sweep, current [nA], recorded spikes and the mean of 10 random predictions, of all steps with
    enough spikes."""
    runs, found = [fitted.simulate(part, seed=seed) for seed in range(10)], []
    for k, first, last, level in stretches(part):
        real, *counts = (
            np.sum((t >= first) & (t < last)) for t in (part.spikes[k], *(run[k] for run in runs))
        )
        if real >= 5:
            found.append((k, level, int(real), float(np.mean(counts))))
    return found


def off(curve: list[tuple[int, float, int, float]]) -> float | None:
    """The mean error of the counts."""
    errors = [abs(model / real - 1) for _, _, real, model in curve]
    return float(np.mean(errors)) if errors else None


def stretches(recording: Recording) -> Iterator[tuple[int, float, float, float]]:
    """Where the current stays the same: sweep, from when to when [ms], and how strong it is."""
    calm = recording.coarser(5.0)
    least = max(0.02 * float(np.ptp(calm.current)), 0.005)
    for k in range(calm.sweeps):
        current = calm.current[:, k]
        cuts = np.nonzero(np.abs(np.diff(current)) > least)[0] + 1
        for first, last in itertools.pairwise((0, *cuts, len(current))):
            if (last - first) * calm.dt >= STRETCH:
                yield k, first * calm.dt, last * calm.dt, float(np.median(current[first:last]))


def halves(data: Path, neurons: list[str], steps: int, choose: bool) -> list[dict[str, Any]]:
    first, second = (whole := Recording.read(data / GIF)).split(whole.duration / 2)
    rows = []
    for name in neurons:
        for label, train, test in (("second", first, second), ("first", second, first)):
            found: list[tuple[str, dict[str, Any]]] = [("defaults", {})]
            found += [choice(NEURONS[name], train, steps)] if choose else []
            for chosen, options in found:
                row = measured(NEURONS[name], train, test, steps=steps, **options)
                rows.append({"neuron": name, "scored on": label, "chosen": chosen, **row})
                print(rows[-1], flush=True)
    return rows


def families(data: Path, steps: int, choose: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for path, (sweeps, reading) in STEPS.items():
        try:
            cell = Recording.read(data / path, **reading)[sweeps]
            count = sum(map(len, cell.spikes))
            if count < LEAST:
                raise ValueError(f"{count} spikes in {cell.sweeps} sweeps")
            parts = sorted((cell[::2], cell[1::2]), key=lambda part: -sum(map(len, part.spikes)))
            chosen, options = choice(NEURONS["cubic"], parts[0], steps) if choose else ("-", {})
            row = {"chosen": chosen, **measured(NEURONS["cubic"], *parts, steps=steps, **options)}
        except (ValueError, ArithmeticError) as error:
            row = {"failed": str(error).replace(f"{data}/", "")}
        rows.append({"recording": path, **row})
        print(rows[-1], flush=True)
    return rows


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def table(found: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    lines = [
        f"`{GIF}`: LNM of degree 1 (linear) and 3 (cubic), fitted on one half of the time, scored "
        f"on the other; with the default options, and with options that are chosen by the "
        f"likelihood of the first and the last {100 - 100 * KEPT:.0f} % of the fitted half, by "
        "fits to the rest. Explained variance "
        "is computed as for the Allen Institute's models of its own cells, GLIF1 to 5, which reach "
        "70.2, 67.7, 72.4, 75.9 and 77.6 %.",
        "",
        "| neuron | scored on | chosen | nats per spike | gamma | repeats | share | "
        "gamma, sharp threshold | gamma at random | Md* | explained variance | rms [mV] | "
        "fit [s of processor] |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['neuron']} | {r['scored on']} | {r['chosen']} | {_number(r['nll'])} | "
        f"{_number(r['gamma'], 3)} | {_number(r['ceiling'], 3)} | "
        f"{_number(r['gamma'] / r['ceiling'], 3)} | {_number(r['gamma_sharp'], 3)} | "
        f"{_number(r['gamma_random'], 3)} | "
        f"{_number(r['md_star'], 3)} | {_number(r['explained'], 3)} | {_number(r['rms'])} | "
        f"{r['seconds']:.0f} |"
        for r in found.get("halves", ())
    ]
    lines += [
        "",
        "Step families: LNM of degree 3, every other sweep held out, the half with fewer spikes. "
        f"The f-I error is how far the mean count of 10 random predictions is off, averaged over "
        f"steps of current of at least {STRETCH:.0f} ms with at least 5 recorded spikes. No "
        "current was repeated, so there is no explained variance. Options are chosen by the f-I "
        "error of the fitted sweeps.",
        "",
        "| recording | chosen | nats per spike | gamma | rms [mV] | steps | f-I error | "
        "of the fitted sweeps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in found.get("families", ()):
        if "failed" in r:
            lines.append(f"| {r['recording']} | not fitted: {r['failed']} | | | | | | |")
        else:
            keys = ("f-I error", "f-I error, fitted")
            error, own = ("-" if r[key] is None else f"{100 * r[key]:.0f} %" for key in keys)
            lines.append(
                f"| {r['recording']} | {r['chosen']} | {_number(r['nll'])} | "
                f"{_number(r['gamma'], 3)} | {_number(r['rms'])} | {len(r['f-I'])} | {error} | "
                f"{own} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--neurons", nargs="+", default=list(NEURONS), choices=NEURONS)
    parser.add_argument(
        "--parts",
        nargs="+",
        default=["families", "halves"],
        choices=["families", "halves"],
        help="the other is kept as it is in the results",
    )
    parser.add_argument("--steps", type=int, default=120, help="of L-BFGS")
    parser.add_argument("--choose", action="store_true", help="choose options on fitted halves")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    options = parser.parse_args()
    file = options.out / "recordings.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    found = {part: found[part] for part in ("families", "halves") if part in found}
    if "families" in options.parts:
        found["families"] = families(options.data, options.steps, options.choose)
    if "halves" in options.parts:
        found["halves"] = halves(options.data, options.neurons, options.steps, options.choose)
    flag = " --choose" if options.choose else ""
    what = f"`neurodyn bench recordings --data DIR{flag} --steps {options.steps}`."
    write_page(options.out, "recordings", ("Recorded cells", what), found, table)


if __name__ == "__main__":
    main()
