"""Do coefficients that one network learned help another?"""

from __future__ import annotations

import re
from pathlib import Path

import torch

COEFFICIENT = re.compile(r"\.c\.(\d+)$")


def contenders(source: Path) -> list[str]:
    """LIF, LNM that starts as LIF, from the coefficients of a run, and fixed to them.

    Args:
        source: the folder of a finished LNM run, `<comparison>/lnm/seed-0`.
    """
    learned = learned_coefficients(source / "best.ckpt")
    start = f"lnm:degree={len(learned) - 1}:start=[{','.join(f'{c:.4f}' for c in learned)}]"
    return ["lif", "lnm", f"transplanted@{start}", f"transplanted-fixed@{start}:learn=false"]


def learned_coefficients(checkpoint: Path) -> list[float]:
    """The coefficients `c0, c1, ...` of LNM in a checkpoint, averaged over all layers."""
    if not checkpoint.is_file():
        raise FileNotFoundError(
            f"source: expected the folder of a finished LNM run, found no {checkpoint}"
        )
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    layers: dict[int, list[float]] = {}
    for key, value in weights.items():
        if found := COEFFICIENT.search(key):
            layers.setdefault(int(found[1]), []).append(value.mean().item())
    if not layers:
        raise ValueError(f"source: expected the coefficients of an LNM in {checkpoint}, found none")
    return [sum(layers[k]) / len(layers[k]) for k in sorted(layers)]
