"""neurodyn: deep spiking neural networks whose neuron dynamics are learned.

    import neurodyn

    spikes = neurodyn.LNM(degree=3)(torch.randn(4, 32, 64, 8, 8))

Every neuron is here by its name, `Learned` for those of your own, `compare` to train several on the
same network and data, and `load` for trained models.
The rooms are `neurodyn.neurons`, `layers`, `models`, `data`, `training`, `comparison`, `analysis`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurodyn.interactive.compare import compare as compare
    from neurodyn.learned import Learned as Learned
    from neurodyn.neurons import *  # noqa: F403
    from neurodyn.training.loading import load as load

LATE = {"load": "neurodyn.training.loading", "compare": "neurodyn.interactive.compare"}
"""Functions here, and the modules that they are imported from when they are asked for."""

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # The command's help needs the version alone; importing PyTorch takes a second.
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in LATE:
        from neurodyn.errors import require

        return getattr(require(LATE[name], "train"), name)
    import neurodyn.neurons as neurons
    from neurodyn.learned import Learned

    if name == "__all__":
        return ["Learned", *neurons.__all__]
    known = {"Learned": Learned, **{one: getattr(neurons, one) for one in neurons.__all__}}
    if name not in known:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return known[name]


def __dir__() -> list[str]:
    return [*globals(), *LATE, *__getattr__("__all__")]
