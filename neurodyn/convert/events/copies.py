"""Neurons as copies of others: what the conversions between networks do, as integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Copies:
    """The neurons of a layer. Each is a copy of an origin, with a multiple of its threshold.

    The copy of origin `o` with level `k` gets the origin's inputs, and fires where they reach `k`
    times its threshold. Its spikes act as the origin's, `sign` times. Copies are sorted by origin,
    then level. Of input lines, the copy with level `k` has the line's `k`-th spike alone.
    """

    origins: int
    origin: Any
    level: Any
    sign: Any

    @classmethod
    def plain(cls, origins: int) -> Copies:
        """Each origin itself."""
        one = np.ones(origins, np.int64)
        return cls(origins, np.arange(origins), one, one)

    def multiplied(self, factors: Any, signs: Any, bound: Any) -> Copies:
        """Each copy as several, with its level times each factor, as long as that is within its
        origin's bound; its sign is multiplied by the factor's. Equal copies become one, which
        counts for all; those that cancel are left out."""
        level = self.level[:, None] * factors
        copy, factor = np.nonzero(level <= bound[self.origin][:, None])
        places = np.stack([self.origin[copy], level[copy, factor]])
        kept, which = np.unique(places, axis=1, return_inverse=True)
        sign = np.zeros(kept.shape[1], np.int64)
        np.add.at(sign, which, self.sign[copy] * signs[factor])
        kept, sign = kept[:, sign != 0], sign[sign != 0]
        return Copies(self.origins, kept[0], kept[1], sign)

    @property
    def per_origin(self) -> Any:
        """How many copies each origin has."""
        return np.bincount(self.origin, minlength=self.origins)

    def __len__(self) -> int:
        return len(self.origin)
