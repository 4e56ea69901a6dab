"""Layers between neurons: time, normalisation, pooling, delays, recurrence, read-outs, losses."""

from neurodyn.layers.delay import Delayed, DelayLine, LearnedDelays
from neurodyn.layers.dropout import Dropout
from neurodyn.layers.gated import CSGRU, RecurrentCubaLIF, SpikGRU, SpikGRU2
from neurodyn.layers.gated_cell import CellFactory, GatedCell
from neurodyn.layers.loss import TETLoss
from neurodyn.layers.norm import RESIDUAL, TDBatchNorm1d, TDBatchNorm2d
from neurodyn.layers.normed import Normed
from neurodyn.layers.pointwise import PointwiseConv2d
from neurodyn.layers.pool import AvgPool2d
from neurodyn.layers.product import MatMul
from neurodyn.layers.readout import (
    READOUTS,
    Each,
    Last,
    Leaky,
    LeakyMax,
    Max,
    Mean,
    Membrane,
    Readout,
    SoftmaxSum,
    make_readout,
)
from neurodyn.layers.recurrent import Recurrent
from neurodyn.layers.regularise import Bounds, FiringRate, Regulariser
from neurodyn.layers.stream import Stream
from neurodyn.layers.time import TimeDistributed, padded, repeat, valid_steps

__all__ = [
    "CSGRU",
    "READOUTS",
    "RESIDUAL",
    "AvgPool2d",
    "Bounds",
    "CellFactory",
    "DelayLine",
    "Delayed",
    "Dropout",
    "Each",
    "FiringRate",
    "GatedCell",
    "Last",
    "Leaky",
    "LeakyMax",
    "LearnedDelays",
    "MatMul",
    "Max",
    "Mean",
    "Membrane",
    "Normed",
    "PointwiseConv2d",
    "Readout",
    "Recurrent",
    "RecurrentCubaLIF",
    "Regulariser",
    "SoftmaxSum",
    "SpikGRU",
    "SpikGRU2",
    "Stream",
    "TDBatchNorm1d",
    "TDBatchNorm2d",
    "TETLoss",
    "TimeDistributed",
    "make_readout",
    "padded",
    "repeat",
    "valid_steps",
]
