"""Trees of files by class: `train/<class>/*` and `test/<class>/*`, or `<class>/*` alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names that folders of the parts of a data set may have, in any case."""


@dataclass(frozen=True)
class Listed:
    """The files of one part, by their paths below its folder, and their classes."""

    folder: Path
    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Tree:
    """Files by class.

    Args:
        classes: names of the classes, sorted: the folders of the training set.
        parts: "train" and, if there are, "validation" and "test".
    """

    classes: tuple[str, ...]
    parts: dict[str, Listed]


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, hidden ones left out, sorted."""
    hidden = (".", "__")
    return sorted(
        e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(hidden)
    )


def list_files(folder: Path, classes: Collection[str], suffixes: Collection[str]) -> Listed:
    """The files with one of the suffixes in the folders of classes, and below them."""
    listed = Listed(folder)
    for label, kind in enumerate(classes):
        found = [
            os.path.relpath(os.path.join(where, name), folder)
            for where, _, files in os.walk(folder / kind)
            for name in files
            if name.lower().endswith(tuple(suffixes)) and not name.startswith(".")
        ]
        listed.names.extend(sorted(found))
        listed.labels.extend([label] * len(found))
    return listed


def find_tree(folder: Path, suffixes: Collection[str], what: str) -> Tree:
    """The tree in a folder. A validation set without a test set is taken for the test set, and one
    that has none of the training set's classes is left out.

    Args:
        folder: the top.
        suffixes: of the wanted files, with the dot.
        what: the files are, for errors.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no tree of such files.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: looked for a folder of {what} and did not find it")
    inside = class_folders(folder)
    places = {
        part: folder / name
        for part, known in PARTS.items()
        for name in inside
        if name.lower() in known
    }
    if "train" not in places:
        places = {"train": folder}
    classes = class_folders(places["train"])
    wanted = f"train/<class>/* and test/<class>/*, or <class>/*, with {what} in them"
    if len(classes) < 2:
        more = ", of two classes or more" if classes else ""
        raise ValueError(f"{folder}: found {_content(places['train'])}, expected {wanted}{more}")
    # Others are not sorted by class, as the validation images of Tiny ImageNet.
    by_class = {p: place for p, place in places.items() if set(class_folders(place)) & set(classes)}
    if "test" not in by_class and "validation" in by_class:
        by_class["test"] = by_class.pop("validation")
    parts = {}
    for part, place in by_class.items():
        strange = set(class_folders(place)) - set(classes)
        if strange and list_files(place, sorted(strange), suffixes).names:
            raise ValueError(
                f"{place}: found the class {min(strange)!r}, which the training set does not have"
            )
        listed = parts[part] = list_files(place, classes, suffixes)
        if not listed.names:
            raise ValueError(f"{place}: found {_content(place)}, expected {wanted}")
    empty = set(range(len(classes))) - set(parts["train"].labels)
    if empty:
        name = classes[min(empty)]
        raise ValueError(
            f"{places['train'] / name}: found {_content(places['train'] / name)}, expected {what} "
            "of this class; fill the folder or remove it"
        )
    return Tree(tuple(classes), parts)


def suffixes_below(folder: Path, most: int = 10_000) -> Counter[str]:
    """How many of the first files below a folder have each suffix."""
    counts: Counter[str] = Counter()
    for where, folders, files in os.walk(folder):
        folders.sort()
        counts.update(Path(where, name).suffix.lower() for name in files if name[0] != ".")
        if counts.total() > most:
            break
    return counts


def _content(folder: Path) -> str:
    """What a folder holds, for errors."""
    folders, files = len(class_folders(folder)), suffixes_below(folder)
    kinds = ", ".join(f"{n} {suffix or 'without a suffix'}" for suffix, n in files.most_common(5))
    holds = f"{folders} folder{'' if folders == 1 else 's'}"
    return f"{holds} and {'the files ' + kinds if files else 'no files'}"
