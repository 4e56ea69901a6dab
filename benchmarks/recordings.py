"""Neurons fitted to recorded cells: scores on what was held out.

    neurodyn bench recordings --data ~/data/ephys

The folder is that of the recordings, with gif_pozzorini2015 and abf_current_clamp in it. Repeats of
one current are fitted on one half of the time and scored on the other, both ways; of step families,
every other sweep is held out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._results import FOLDER, write_page
from neurodyn import LIF, LNM
from neurodyn.biophysics import Recording, fit

NEURONS = {"LIF": LIF, "LNM of degree 1": lambda: LNM(degree=1), "LNM": lambda: LNM(degree=3)}
LEAST = 40
"""Spikes, of which half are held out."""
GIF = "gif_pozzorini2015"
STEPS = (
    "bluepyefe_traces/B6",
    "bluepyefe_traces/B8",
    "bluepyefe_traces",
    "bluepyefe_traces/hippocampus-portal/99111002.nwb",
    "abf_current_clamp/171116sh_0017.abf",
    "abf_current_clamp/171116sh_0018.abf",
    "abf_current_clamp/17o05027_ic_ramp.abf",
    "abf_current_clamp/17o05028_ic_steps.abf",
    "abf_current_clamp/18713001.abf",
    "abf_current_clamp/2019_07_24_0055_fsi.abf",
    "abf_current_clamp/File_axon_5.abf",
    "brian_if_fitting/current.txt",
)


def measured(make: Any, train: Recording, test: Recording, steps: int) -> dict[str, Any]:
    """Scores, the processor's seconds of the fit, and how far spike counts are off."""
    begin = time.process_time()
    fitted = fit(make(), train, steps=steps, progress=False)
    seconds = time.process_time() - begin
    predicted, real = fitted.simulate(test), test.spikes
    firing = [(len(p), len(r)) for p, r in zip(predicted, real, strict=True) if len(r) >= 5]
    off = [abs(p / r - 1) for p, r in firing]
    return {
        **fitted.score(test)._asdict(),
        "seconds": seconds,
        "count error": float(np.mean(off)) if off else None,
    }


def halves(data: Path, neurons: list[str], steps: int) -> list[dict[str, Any]]:
    first, second = (whole := Recording.read(data / GIF)).split(whole.duration / 2)
    rows = []
    for name in neurons:
        for label, train, test in (("second", first, second), ("first", second, first)):
            row = measured(NEURONS[name], train, test, steps)
            rows.append({"neuron": name, "scored on": label, **row})
            print(rows[-1], flush=True)
    return rows


def families(data: Path, steps: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for path in STEPS:
        try:
            cell = Recording.read(data / path)
            count = sum(map(len, cell.spikes))
            if count < LEAST:
                raise ValueError(f"{count} spikes in {cell.sweeps} sweeps")
            parts = sorted((cell[::2], cell[1::2]), key=lambda part: -sum(map(len, part.spikes)))
            row = measured(NEURONS["LNM"], *parts, steps)
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
        f"`{GIF}`: fitted on one half of the time, scored on the other.",
        "",
        "| neuron | scored on | nats per spike | gamma | repeats | share | gamma at random | Md* | "
        "explained variance | rms [mV] | fit [s of processor] |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['neuron']} | {r['scored on']} | {_number(r['nll'])} | {_number(r['gamma'], 3)} | "
        f"{_number(r['ceiling'], 3)} | {_number(r['gamma'] / r['ceiling'], 3)} | "
        f"{_number(r['gamma_random'], 3)} | {_number(r['md_star'], 3)} | "
        f"{_number(r['explained'], 3)} | {_number(r['rms'])} | {r['seconds']:.0f} |"
        for r in found["halves"]
    ]
    lines += [
        "",
        "Step families: LNM of degree 3, every other sweep held out, the half with fewer spikes. "
        "The count error is the mean over held-out sweeps with at least 5 spikes.",
        "",
        "| recording | nats per spike | gamma | rms [mV] | count error |",
        "|---|---|---|---|---|",
    ]
    for r in found["families"]:
        if "failed" in r:
            lines.append(f"| {r['recording']} | not fitted: {r['failed']} | | | |")
        else:
            error = "-" if r["count error"] is None else f"{100 * r['count error']:.0f} %"
            lines.append(
                f"| {r['recording']} | {_number(r['nll'])} | {_number(r['gamma'], 3)} | "
                f"{_number(r['rms'])} | {error} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--neurons", nargs="+", default=list(NEURONS), choices=NEURONS)
    parser.add_argument("--steps", type=int, default=120, help="of L-BFGS")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of results")
    options = parser.parse_args()
    found = {
        "families": families(options.data, options.steps),
        "halves": halves(options.data, options.neurons, options.steps),
    }
    what = "`neurodyn bench recordings --data DIR`; `fit` with its defaults."
    write_page(options.out, "recordings", ("Recorded cells", what), found, table)


if __name__ == "__main__":
    main()
