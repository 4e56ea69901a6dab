"""What stands between neurons: time, normalisation, read-outs, losses."""

from neurodyn.layers.loss import ReadoutLoss, TETLoss
from neurodyn.layers.norm import RESIDUAL, TDBatchNorm1d, TDBatchNorm2d
from neurodyn.layers.readout import Last, Leaky, Max, Mean
from neurodyn.layers.time import TimeDistributed, repeat

__all__ = [
    "RESIDUAL",
    "Last",
    "Leaky",
    "Max",
    "Mean",
    "ReadoutLoss",
    "TDBatchNorm1d",
    "TDBatchNorm2d",
    "TETLoss",
    "TimeDistributed",
    "repeat",
]
