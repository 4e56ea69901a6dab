"""Recordings of event cameras of one's own in folders, one folder per class."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from neurodyn.data.facts import Facts, OwnData, check_test, tell
from neurodyn.data.fingerprint import of_files
from neurodyn.data.formats.events import READERS, read_events
from neurodyn.data.formats.frames import height_and_width
from neurodyn.data.samples import Samples
from neurodyn.data.sets.cameras import EventData
from neurodyn.data.targets import Targets
from neurodyn.data.tree import Tree, find_tree
from neurodyn.errors import check


class EventFolder(OwnData, EventData):
    """Recordings of an event camera in folders, one per class: `train/<class>/*` and
    `test/<class>/*`, or `<class>/*`, in any format that `read_events` reads.

    A folder `val` beside `train` and `test` holds the validation samples; without `test`, it is the
    test set.

    Args:
        path: the folder.
        side: of the sensor in pixels, or its height and width. Unless given, what the header of the
            first recording says, or else the least that holds all events of the training set.
        test: without a test set, this share (below 1) or number of the recordings is one:
            stratified, chosen by `split_seed`. 0 for none.
        options: as `EventData`; `root` is not used.
    """

    def __init__(
        self,
        path: str,
        side: int | tuple[int, int] | None = None,
        test: int | float = 0.2,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_test(test)
        for pixels in height_and_width(side) if side is not None else ():
            check("side", pixels, 1)
        self.path, self.given_side, self.test = path, side, test
        self._tree: Tree | None = None

    @property
    def side(self) -> tuple[int, int]:  # type: ignore[override]
        _, _, height, width = self.facts.sample
        return height, width

    shape = EventData.shape  # type: ignore[assignment]

    def check_size(self) -> None:
        """Nothing yet: the recordings are looked at later."""

    def parts(self) -> Collection[str]:
        return self.tree.parts

    @property
    def tree(self) -> Tree:
        """The files by class."""
        if self._tree is None:
            self._tree = find_tree(Path(self.path).expanduser(), READERS, "recordings")
        return self._tree

    def look(self) -> Facts:
        paths, classes = self._paths("train"), self.tree.classes
        side = self.given_side
        if side is None:
            side, how = side_of(tuple(paths))
            tell(f"EventFolder: a sensor of {side[0]}x{side[1]} pixels, from {how} (side)")
        targets = Targets("classes", len(classes), names=classes)
        facts = Facts("sequences", (self.steps, 2, *height_and_width(side)), targets)
        for pixels, most in zip(height_and_width(self.size or side), facts.sample[2:], strict=True):
            check("size", pixels, 1, most)
        return facts

    def part(self, name: str) -> Samples:
        paths, labels = self._paths(name), torch.tensor(self.tree.parts[name].labels)
        what = "training" if name == "train" else name
        return self.checked(self.frames(f"events-{name}", paths), labels, part=what)

    def fingerprint(self) -> str | None:
        paths = [path for part in self.tree.parts for path in self._paths(part)]
        return of_files(paths, Path(self.path).expanduser())

    def _paths(self, part: str) -> list[Path]:
        listed = self.tree.parts[part]
        return [listed.folder / name for name in listed.names]


@lru_cache(maxsize=4)
def side_of(paths: Sequence[Path]) -> tuple[tuple[int, int], str]:
    """The height and width of the sensor of recordings, and what says so."""
    said = _said(paths[0])
    if said is not None:
        return said, "the header of the recordings"
    height = width = 1
    for path in paths:
        events = read_events(path)
        height, width = (
            max(height, int(events["y"].max()) + 1),
            max(width, int(events["x"].max()) + 1),
        )
    return (height, width), "the largest coordinates of the training set"


def _said(path: Path) -> tuple[int, int] | None:
    """The height and width in the header of a recording, if it is there."""
    if path.suffix == ".aedat":
        return 128, 128  # Of other cameras, this format is not read.
    with path.open("rb") as file:
        header = file.read(4096)
    if path.suffix == ".aedat4":
        pairs = [re.search(rf'"size{axis}"[^>]*>(\d+)<'.encode(), header) for axis in "YX"]
    elif path.suffix in (".dat", ".raw"):
        whole = re.search(rb"% geometry (\d+)x(\d+)", header)
        if whole:
            return int(whole[2]), int(whole[1])
        pairs = [re.search(rb"(?i)\b%s[ =](\d+)" % axis, header) for axis in (b"height", b"width")]
    else:
        return None
    sizes = [int(pair[1]) for pair in pairs if pair]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None
