"""A picture of which classes a network takes for which."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

MOST = 20
"""Classes up to which cells have numbers, and names are written out."""


def plot_confusion(counts: Tensor, names: Sequence[str] = (), *, title: str = "") -> Figure:
    """The share of each class (rows) that was taken for each class (columns), in percent.

    Args:
        counts: `(K, K)`, samples or steps of a true class by predicted class.
        names: of the classes; their numbers unless given.
        title: of the picture.
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"counts: expected (K, K), got {tuple(counts.shape)}")
    classes = len(counts)
    labels = list(names) or [str(k) for k in range(classes)]
    if len(labels) != classes:
        raise ValueError(f"names: expected {classes}, got {len(labels)}")
    rows = counts.double()
    shares = 100 * rows / rows.sum(1, keepdim=True).clamp(min=1)
    side = min(2.2 + 0.42 * classes, 9.0)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if classes <= MOST:
        longest = max(map(len, labels))
        axis.set_xticks(range(classes), labels, rotation=90 if longest > 3 else 0, fontsize=9)
        axis.set_yticks(range(classes), labels, fontsize=9)
        for i in range(classes):
            for j in range(classes):
                share = shares[i, j].item()
                if share >= 0.5:
                    colour = "white" if share > 55 else "black"
                    axis.text(j, i, f"{share:.0f}", ha="center", va="center", c=colour, fontsize=9)
    axis.set(xlabel="predicted", ylabel="true")
    axis.set_title(title, fontsize=11)
    figure.colorbar(image, ax=axis, shrink=0.7, label="share of the true class [%]")
    return figure
