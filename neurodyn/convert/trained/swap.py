"""Replacing modules of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


def swapped(network: nn.Module, replaced: Mapping[Any, nn.Module]) -> nn.Module:
    """The network with some of its modules replaced, in place, wherever they are."""
    for parent in list(network.modules()):
        for key, child in parent._modules.items():
            if child in replaced:
                parent._modules[key] = replaced[child]
    return replaced.get(network, network)
