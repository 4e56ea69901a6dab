"""Who is ahead: means and spreads over seeds, and when two of them differ.

One contender is *ahead* of another if their means differ by more than both standard deviations, and
*level* with it if neither is ahead.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from neurodyn.comparison.folder import Runs, by_neuron

FEW = 5
"""Contenders of which each one gets a sentence. Of more, the best one does."""

MOST = 8
"""Differences from more contenders would not make a sentence: only the number is told."""

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
    """In words: how far the contender with the best test score is ahead of the others, and if they
    are few, who of those is ahead of whom.

    The differences between two contenders with the same seeds are paired: the range is that of the
    differences by seed. A single seed has no spread, so contenders with one seed are left out.
    Fewer than two contenders get no sentence.
    """
    scores = _by_seed(runs)
    spreads = {name: mean_and_spread(by_seed.values()) for name, by_seed in scores.items()}
    ranked = sorted(spreads, key=lambda name: -spreads[name][0])
    if len(ranked) < 2:
        return []
    best, (beaten, level) = ranked[0], _standing(ranked, spreads)
    if len(ranked) - 1 > MOST:
        return [_counted(best, len(beaten), len(level))]
    far = [f"{other} by {_difference(scores[best], scores[other])}" for other in beaten]
    sentences = [_sentence(best, far, level)]
    if len(ranked) <= FEW:
        lower = (ranked[place:] for place in range(1, len(ranked) - 1))
        sentences += [_sentence(rest[0], *_standing(rest, spreads)) for rest in lower]
    return [" ".join(sentences)]


def unbeaten(runs: Runs) -> list[str]:
    """The contenders that no other one is ahead of. There are none if fewer than two have several
    seeds."""
    spreads = {name: mean_and_spread(scores.values()) for name, scores in _by_seed(runs).items()}
    if len(spreads) < 2:
        return []
    return [
        name
        for name, own in spreads.items()
        if not any(ahead(other, own) for other in spreads.values())
    ]


def _by_seed(runs: Runs) -> dict[str, dict[int, float]]:
    """For each contender with several seeds its scores by seed."""
    return {
        name: {run["seed"]: run["score"] for run in group}
        for name, group in by_neuron(runs).items()
        if len(group) > 1
    }


def _standing(ranked: list[str], spreads: dict[str, Spread]) -> tuple[list[str], list[str]]:
    """Those whom the first one is ahead of, and those with whom it is level."""
    first, *others = ranked
    beaten = [name for name in others if ahead(spreads[first], spreads[name])]
    return beaten, [name for name in others if name not in beaten]


def _sentence(name: str, beaten: list[str], level: list[str]) -> str:
    parts = [f"ahead of {listed(beaten)}"] if beaten else []
    parts += [f"level with {listed(level)}"] if level else []
    return f"{name} is {', and '.join(parts)}."


def _counted(name: str, beaten: int, level: int) -> str:
    return f"{name} has the highest mean. It is ahead of {beaten} of the {beaten + level} others."


def _difference(one: dict[int, float], other: dict[int, float]) -> str:
    """The difference of the means, and its range over the seeds that both have."""
    mean = statistics.fmean(one.values()) - statistics.fmean(other.values())
    paired = [one[seed] - other[seed] for seed in one if seed in other]
    seeds = f" (by seed {min(paired):.1f} to {max(paired):.1f})" if len(paired) > 1 else ""
    return f"{mean:.1f} points{seeds}"


def listed(names: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = map(str, names)
    return f"{', '.join(others)} and {last}" if others else last
