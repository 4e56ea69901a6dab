"""Whether a neuron can be made with the options it was given."""

from __future__ import annotations

import inspect
from typing import Any

from neurodyn.errors import unknown


def check_options(neuron: Any, given: dict[str, Any]) -> None:
    """Raise for malformed features, unknown parameters, and names to learn that are unknown.

    Args:
        neuron: while it is made, before its parameters start.
        given: the parameters that its constructor got.
    """
    name, known = type(neuron).__name__, [n for n, q in neuron.declared.items() if not q.vector]
    if "threshold" not in known:
        raise TypeError(f"threshold: {name} has to declare it, threshold = Learned(...)")
    for state in neuron.states:
        if state in neuron.declared:
            raise TypeError(f"states: {name} declares a parameter {state!r} as well")
    try:
        takes = inspect.signature(neuron.step)
        takes.bind("x", *neuron.states)
    except TypeError:
        raise TypeError(
            f"step: expected step(self, {', '.join(('x', *neuron.states))}) of {name}, the input "
            f"and each of its states, got step(self, {str(takes)[1:].partition(')')[0]})"
        ) from None
    if neuron.features is not None and not (
        isinstance(neuron.features, tuple | list)
        and all(isinstance(size, int) for size in neuron.features)
    ):
        first = next((n for n in known if n != "threshold"), "threshold")
        raise TypeError(
            "features: expected the shape of one step, such as 16 or (64, 8, 8), got "
            f"{neuron.features!r}; parameters go by their names, {name}({first}=...)"
        )
    for option in given.keys() - known:
        raise TypeError(str(unknown(name, option, known)))
    if not isinstance(neuron._learn, bool):
        if not isinstance(neuron._learn, tuple | list):
            raise TypeError(f"learn: expected True, False or names, got {neuron._learn!r}")
        states = [f"{state}_0" for state in neuron.states]
        for chosen in neuron._learn:
            if chosen not in (*neuron.declared, *states):
                raise unknown("learn", chosen, (*neuron.declared, *states))
