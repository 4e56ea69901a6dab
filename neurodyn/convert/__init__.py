"""Conversions between networks that compute the same in different ways.

`events` simulates networks in continuous time; `spikes` converts them between neurons that fire
once and neurons that fire many times; `trained` does that to trained networks over timesteps.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurodyn.convert.events import *  # noqa: F403
    from neurodyn.convert.spikes import *  # noqa: F403
    from neurodyn.convert.trained import *  # noqa: F403

# The first two need Numba. Trained networks do not.
_WHERE = {
    name: room
    for room, names in {
        "events": ("Events", "Kernel", "LIFKernel", "NLIFKernel", "ReLUKernel", "Trains"),
        "spikes": ("Comparison", "compare", "merged", "multi_spike", "single_spike"),
        "trained": (
            "Report",
            "Twin",
            "compare_steps",
            "compare_unfolded",
            "measured_bound",
            "steps_table",
            "unfold",
        ),
    }.items()
    for name in names
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"neurodyn.convert.{_WHERE[name]}"), name)
