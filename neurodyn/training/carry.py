"""Which options a neuron takes over from the one it replaces on the command line.

This module is the only place that touches a private name of jsonargparse, the function in
`_typehints` that decides which `init_args` stay when a `class_path` changes. jsonargparse has no
setting for it. Should the name go away, importing this module fails. Then find the function that
took over its work (it is given the parser and the value before and after the change) and wrap that
one. The tests in tests/training/test_recipes.py whose names begin with `test_what_holds` and
`test_a_neuron_in_another` say whether it works.
"""

from __future__ import annotations

from typing import Any

from jsonargparse import Namespace, _typehints

from neurodyn.training.names import neuron_at, shared_options

OWN_DATA = ("ArrayFile", "ImageFolder", "EventFolder")
"""Data of the user's: what a recipe says of its own data, except for the batch size, does not
apply to them."""

_discard = _typehints.discard_init_args_on_class_path_change


def _keep_shared(parser: Any, before: Any, after: Any) -> None:
    """Keep the options that all neurons have and that were set, and drop the rest.

    jsonargparse keeps all options that both classes have, defaults included: LIF's `reset="hard"`
    would replace the reset that MultiTimescale learns.
    """
    if before and before["class_path"] != after["class_path"] and "init_args" in before:
        if after["class_path"].rpartition(".")[2] in OWN_DATA:
            given = vars(before["init_args"])
            before["init_args"] = Namespace({k: v for k, v in given.items() if k == "batch_size"})
        old, new = (neuron_at(chosen["class_path"]) for chosen in (before, after))
        if new:
            shared = shared_options(old, new) if old else {}
            given = vars(before["init_args"]).items()
            kept = {key: value for key, value in given if value != shared.get(key, value)}
            before["init_args"] = Namespace(kept)
    _discard(parser, before, after)


def install() -> None:
    """Replace jsonargparse's rule by ours."""
    _typehints.discard_init_args_on_class_path_change = _keep_shared
