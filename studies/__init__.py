"""Studies: questions, most of them about LNM, each a comparison of contenders by one recipe."""

from __future__ import annotations

import re
from pathlib import Path

from neurodyn.errors import unknown

STUDIES: dict[str, list[str]] = {
    "degree": [f"lnm:degree={d}:model.timesteps={T}" for T in (1, 2, 4, 8) for d in range(1, 6)],
    "degree-long": [f"lnm:degree={d}:data.pool={p}" for p in (2, 1) for d in range(1, 6)],
    "clip": ["lnm:clip=hard", "lnm:clip=smooth", "lnm:clip=none"],
    "granularity": ["lnm:per=layer", "lnm:per=channel", "lnm:per=neuron"],
    "window": [
        "triangle@lnm:surrogate=Triangle",
        "triangle-learned@lnm:surrogate=Triangle:surrogate.learn=true",
        "rectangle@lnm:surrogate=Rectangle",
        "rectangle-derived@lnm:surrogate=Rectangle:surrogate.width=derived",
        "rectangle-derived-reset@lnm:surrogate=Rectangle:surrogate.width=derived-reset",
        "lif",
        "lif-rectangle-derived@lif:surrogate=Rectangle:surrogate.width=derived",
    ],
    "start": ["lnm:start=lif", "lnm:start=qif", "lnm:form=absorbed", "lif"],
    "memory": ["lif:model.timesteps=1", "lif", "lnm:model.timesteps=1", "lnm"],
    "delays": [
        f"delayed:order={n}:model.network.widths=[{h},{h}]"
        for h in (8, 32, 128)
        for n in (0, 1, 2, 5, 10, 20)
    ],
    "convergence": ["lif", "plif:per=channel", "qif:per=channel", "lnm:per=channel"],
    "leaving": ["lif", "plif:per=channel", "lnm:per=channel"],
    "transplant": [],
}
"""The contenders of each study; those of "transplant" follow from the run to learn from."""

SWEEPS = {
    "degree": ("degree", "model.timesteps"),
    "degree-long": ("degree", "data.pool"),
    "delays": ("order", "model.network.widths"),
}
"""Studies of two numbers: the option along a curve, and the one with a curve for each value."""


def conclude(name: str, folder: Path) -> list[str]:
    """Write what a study shows besides the table of its runs; return its further tables.

    Args:
        name: one of `STUDIES`.
        folder: the run folder, its runs finished.
    """
    if name in SWEEPS:
        from studies.sweep import write_sweep

        return [write_sweep(folder, *SWEEPS[name])]
    if name == "convergence":
        from studies.convergence import write_convergence

        return [write_convergence(folder)]
    if name == "leaving":
        from studies.departure import write_leaving

        return [write_leaving(folder)]
    return []


COEFFICIENT = re.compile(r"\.c\.(\d+)$")


def contenders_of(name: str, source: Path | None = None) -> list[str]:
    """The contenders of a study.

    "transplant" asks whether coefficients that one network learned help another: LIF, and LNM that
    starts as LIF, from the source's coefficients (their mean over layers), and fixed to them.

    Args:
        name: one of `STUDIES`.
        source: the folder of a finished LNM run, `<comparison>/lnm/seed-0`; for "transplant" alone.
    """
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    if (source is None) == (name == "transplant"):
        raise ValueError(
            "source: expected the folder of a finished LNM run for the study 'transplant', and for "
            f"no other; got {source} for {name!r}"
        )
    if source is None:
        return STUDIES[name]
    learned = learned_coefficients(source / "best.ckpt")
    start = f"lnm:degree={len(learned) - 1}:start=[{','.join(f'{c:.4f}' for c in learned)}]"
    return ["lif", "lnm", f"transplanted@{start}", f"transplanted-fixed@{start}:learn=false"]


def learned_coefficients(checkpoint: Path) -> list[float]:
    """The coefficients `c0, c1, ...` of the LNM in a checkpoint, their means over all layers."""
    import torch  # here, because the command's help needs this module and no more

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
