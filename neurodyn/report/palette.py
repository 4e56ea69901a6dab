"""A colour and a dash pattern for each contender, in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence

from neurodyn.analysis.pictures import STYLES, styles
from neurodyn.comparison.families import FAMILIES

DASHES = ("", "8 4", "8 3 2 3", "2 3", "10 3 2 3 2 3")
DARK, CONTRAST = "#16181d", 5.0
"""The dark page, and what colours are lightened to on it (as WCAG counts it)."""


def colour_classes(neurons: Sequence[str]) -> str:
    """The style sheet's classes `k0`, `k1`, ... of contenders, and those of families `f0`, ..."""
    found = [(f"k{i}", colour, style) for i, (colour, style) in enumerate(styles(neurons))]
    lines = [
        f".{name}{{--k:light-dark({colour},{lightened(colour)});--dash:{_dash(style)}}}"
        for name, colour, style in found
    ]
    lines += [
        f".f{i}{{--k:light-dark({colour},{lightened(colour)})}}"
        for i, colour in enumerate(FAMILIES.values())
    ]
    return "\n".join(lines)


def lightened(colour: str) -> str:
    """The colour, mixed with white until it can be read on the dark page."""
    rgb = _rgb(colour)
    for share in range(0, 101, 5):
        mixed = [c + (255 - c) * share / 100 for c in rgb]
        if (_luminance(mixed) + 0.05) / (_luminance(_rgb(DARK)) + 0.05) >= CONTRAST:
            return "#" + "".join(f"{round(c):02x}" for c in mixed)
    return "#ffffff"


def _dash(style: object) -> str:
    return DASHES[STYLES.index(style)] or "none"


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def _luminance(rgb: Sequence[float]) -> float:
    linear = [
        c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
