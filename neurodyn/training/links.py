"""What a network learns from its data before it is built."""

from __future__ import annotations

from lightning.pytorch.cli import LightningArgumentParser

from neurodyn.data.adapted import adapted

LINKS = {
    "shape": "network.init_args.shape",
    "outputs": "network.init_args.classes",
    "targets": "targets",
}
"""What a model gets from the data."""


def link_data(parser: LightningArgumentParser) -> None:
    """Let a parser build `data` first, and `model` for the shape and the targets that they have."""
    # A function of the data, because a module that is not ours has none of these.
    for source, target in LINKS.items():
        parser.link_arguments(
            "data",
            f"model.{target}",
            lambda module, name=source: getattr(adapted(module), name),
            apply_on="instantiate",
        )
