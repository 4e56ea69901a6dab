"""Predictions for files: read in batches, written as CSV, or shown as a short table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from neurodyn.analysis.activity import aligned
from neurodyn.data.samples import Files
from neurodyn.files import written_aside
from neurodyn.training.feeding import BATCH
from neurodyn.training.predictions import Predictions
from neurodyn.training.trained import Trained

SHOWN = 20
"""Rows of a table on the screen."""

Read = tuple[list[str], Tensor, Tensor | None]
"""Names, values and lengths of some samples."""


def write_predictions(
    run: Trained, paths: Sequence[str | Path], out: Path, batch_size: int | None = None
) -> str:
    """Write the predictions for files as CSV, whole or not at all; return one line about them."""
    if out.suffix.lower() != ".csv":
        raise ValueError(f"out: expected a file that ends in .csv, got {out}")
    counts: Counter[str] = Counter()
    samples = 0
    with written_aside(out) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for names, predictions in _predicted(run, paths, batch_size):
            if not samples:
                writer.writerow(predictions.header())
            writer.writerows(predictions.rows(names))
            counts += predictions.counts()
            samples += len(names)
    return f"{out}: {_totals(samples, counts)}"


def show_predictions(
    run: Trained, paths: Sequence[str | Path], batch_size: int | None = None
) -> str:
    """The predictions for the first files as a table, and how many there are of each class."""
    rows: list[list[str]] = []
    header: list[str] = []
    counts: Counter[str] = Counter()
    samples = 0
    for names, predictions in _predicted(run, paths, batch_size):
        header, found = predictions.summary(names)
        rows += found[: SHOWN - len(rows)]
        counts += predictions.counts()
        samples += len(names)
    more = f"\nand {samples - len(rows)} more; --out FILE.csv has all" if samples > SHOWN else ""
    return f"{aligned([header, *rows])}{more}\n\n{_totals(samples, counts)}"


def _predicted(
    run: Trained, paths: Sequence[str | Path], batch_size: int | None
) -> Iterator[tuple[list[str], Predictions]]:
    for names, values, lengths in read(run, paths, batch_size):
        yield names, run.predict(values, lengths)


def read(
    run: Trained, paths: Sequence[str | Path], batch_size: int | None = None
) -> Iterator[Read]:
    """The samples in files, batch by batch, with a bar.

    Raises:
        ValueError: some files cannot be read. All are tried first, and each is named.
    """
    missing = [f"{path}: there is no such file" for path in paths if not Path(path).exists()]
    if missing:
        raise _unreadable(missing, len(paths))
    files = run.data.read_files(paths)
    total = len(files.names)
    bad: list[str] = []
    with tqdm(total=total, unit="file", dynamic_ncols=True, leave=False) as bar:
        for rows in torch.arange(total).split(batch_size or getattr(run.data, "batch_size", BATCH)):
            good, values = _rows(files, rows, bad)
            if values is not None and not bad:
                names = [files.names[row] for row in good.tolist()]
                yield names, values, None if files.lengths is None else files.lengths[good]
            bar.update(len(rows))
    if bad:
        raise _unreadable(bad, total)


def _rows(files: Files, rows: Tensor, bad: list[str]) -> tuple[Tensor, Tensor | None]:
    """The rows that can be read, and their samples; what is wrong with the others goes to `bad`."""
    try:
        return rows, files.values[rows]
    except (ValueError, OSError):
        good = [row for row in rows.tolist() if _readable(files, row, bad)]
    chosen = torch.tensor(good, dtype=torch.int64)
    return chosen, files.values[chosen] if good else None


def _readable(files: Files, row: int, bad: list[str]) -> bool:
    try:
        files.values[torch.tensor([row])]
    except (ValueError, OSError) as error:
        name = files.names[row]
        bad.append(str(error) if name in str(error) else f"{name}: {error}")
        return False
    return True


def _unreadable(bad: Sequence[str], total: int) -> ValueError:
    lines = "\n".join(f"  {line}" for line in bad)
    return ValueError(f"files: {len(bad)} of {total} cannot be read\n{lines}")


def _totals(samples: int, counts: Counter[str]) -> str:
    by_class = ", ".join(f"{name}: {count:,}" for name, count in counts.most_common(SHOWN))
    text = f"{samples:,} sample{'' if samples == 1 else 's'}"
    return f"{text}; {by_class}" if counts else text
