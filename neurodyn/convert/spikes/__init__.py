"""Networks of neurons that fire once, and of neurons that fire many times: one from the other."""

from neurodyn.convert.spikes.compare import Comparison, compare, merged
from neurodyn.convert.spikes.multi import multi_spike
from neurodyn.convert.spikes.single import single_spike

__all__ = ["Comparison", "compare", "merged", "multi_spike", "single_spike"]
