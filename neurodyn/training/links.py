"""What a network learns from its data before it is built."""

from __future__ import annotations

from lightning.pytorch.cli import LightningArgumentParser


def link_data(parser: LightningArgumentParser) -> None:
    """Let a parser build `data` first, and `model` for the shape and the targets that they have."""
    for source, target in (
        ("shape", "network.init_args.shape"),
        ("outputs", "network.init_args.classes"),
        ("targets", "targets"),
    ):
        parser.link_arguments(f"data.{source}", f"model.{target}", apply_on="instantiate")
