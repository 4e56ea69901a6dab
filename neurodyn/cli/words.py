"""Short words for long options: `--neuron` and `--network`."""

from __future__ import annotations

from collections.abc import Sequence

LONG = {"--network": "--model.network", "--neuron": "--model.network.neuron"}


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """The arguments, with short words written out as the recipe's options.

    `--neuron` takes what `neurodyn compare --neurons` takes: `lnm`, `lnm:degree=5`, or
    `mine.TwoState` of a module that the user named.
    """
    done = []
    rest = iter(arguments)
    for argument in rest:
        name, given, value = argument.partition("=")
        word, dot, option = name.partition(".")
        if name == "--neuron":
            value = value if given else next(rest, "")
            done += _neuron(value)
        elif word in LONG:
            done.append(f"{LONG[word]}{dot}{option}{given}{value}")
        else:
            done.append(argument)
    return done


def _neuron(text: str) -> list[str]:
    if not text or text.startswith("--"):
        raise ValueError(f"neuron: expected a name, such as lnm, got {text or 'none'}")
    if "@" in text:
        raise ValueError(f"neuron: only a comparison has labels, got {text!r}")
    from neurodyn.comparison.contender import Contender

    return Contender.parse(text, "neuron").arguments()
