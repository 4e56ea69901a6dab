"""Who is ahead: means and spreads over seeds, and when two of them differ.

One contender is *ahead* of another if their means differ by more than both standard deviations.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from neurodyn.comparison.folder import Runs, by_neuron

MOST = 8
"""The names of more contenders would not make a sentence: they are counted instead."""

Spread = tuple[float, float]
"""Mean and standard deviation."""


def mean_and_spread(values: Iterable[float]) -> Spread:
    """Mean and sample standard deviation; 0 for a single value."""
    values = list(values)
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def ahead(one: Spread, other: Spread) -> bool:
    """Whether the mean of `one` is above that of `other` by more than both standard deviations."""
    return one[0] - other[0] > max(one[1], other[1])


def verdict(runs: Runs) -> list[str]:
    """A sentence on the contender with the best test score: which others it is ahead of.

    A single seed has no spread, so contenders with one seed are left out. Fewer than two contenders
    get no sentence.
    """
    values = by_neuron(runs, lambda run: run["score"])
    scores = {name: mean_and_spread(a) for name, a in values.items() if len(a) > 1}
    if len(scores) < 2:
        return []
    best = max(scores, key=lambda name: scores[name][0])
    others = [name for name in scores if name != best]
    beaten = [name for name in others if ahead(scores[best], scores[name])]
    level = [name for name in others if name not in beaten]
    if not level:
        found = "all others"
    elif not beaten:
        found = "no other"
    elif len(others) > MOST:
        found = f"{len(beaten)} of the {len(others)} others"
    else:
        found = f"{listed(beaten)}, not of {listed(level)}"
    return [f"{best} has the highest mean. It is ahead of {found}."]


def listed(names: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last
