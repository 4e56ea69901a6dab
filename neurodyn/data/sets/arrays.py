"""Arrays of one's own: in memory, or made by a data set of PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from neurodyn.data.arrays import (
    Array,
    LayoutName,
    Part,
    as_array,
    has_steps,
    kept,
    layout_of,
    lengths_of_mask,
    moments,
    sample_first,
)
from neurodyn.data.augment.images import ImageAugment
from neurodyn.data.augment.spikes import SpikeAugment
from neurodyn.data.checking import check_lengths
from neurodyn.data.facts import Facts, OwnData, check_test, standardised, tell
from neurodyn.data.fingerprint import of_arrays
from neurodyn.data.guess import Coding, TaskName, coding_of, without_padding
from neurodyn.data.samples import Batch, Samples

PartName = Literal["train", "validation", "test"]
Parts = Mapping[str, Part]


class ArrayData(OwnData):
    """Base of the data sets of arrays. A subclass says where they come from (`load`).

    What the samples are follows from their shape (`neurodyn.data.arrays.layout_of`), what is asked
    from the targets (`neurodyn.data.guess.coding_of`); one word overrules each guess. Images of
    bytes are divided by 255, and all images are standardised per channel with the training set's
    mean and standard deviation. Values that are to be predicted are scaled with theirs.

    Args:
        layout: "images", "sequences" or "rows", if the guess is wrong.
        task: "classes", "labels" or "values", if the guess is wrong.
        time_first: whether sequences, and targets per step, are `(T, N, ...)`.
        names: of the outputs.
        test: without a test set, this share (below 1) or number of the samples is one: stratified,
            chosen by `split_seed`, the same for every training seed. 0 for none.
        standardise: whether each feature of sequences and rows is standardised as images are.
        augment: how training samples are varied: `ImageAugment` for images, `SpikeAugment` for
            sequences.
        options: as `SampleData`; `root` is not used.
    """

    dtypes: ClassVar[tuple[torch.dtype, ...]] = (
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.float32, torch.float64),
    )

    def __init__(
        self,
        layout: LayoutName = "auto",
        task: TaskName = "auto",
        time_first: bool = False,
        names: list[str] | None = None,
        test: int | float = 0.2,
        standardise: bool = False,
        augment: ImageAugment | SpikeAugment | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_test(test)
        self.layout, self.task, self.time_first = layout, task, time_first
        self.names, self.test = names, test
        self.standardise, self.augment = standardise, augment
        self._parts: dict[str, Part] | None = None
        self._coding: Coding | None = None

    def load(self) -> Parts:
        """The samples: a part "train" and, if there are, "validation" and "test"."""
        raise NotImplementedError(f"{type(self).__name__} does not define its load")

    @property
    def steps(self) -> int | None:
        """Timesteps of a sample, with padding; None if samples have no time."""
        return self.facts.steps

    def look(self) -> Facts:
        name = self.title
        found = self.load()
        train = found["train"]
        timed = self.time_first or train.lengths is not None
        timed = timed or (train.y is not None and has_steps(train.x.shape, train.y.shape))
        layout = layout_of(train.x, self.layout, timed=timed, name=f"{name}: x")
        self._parts = {part: self._canonical(p, layout, part) for part, p in found.items()}
        x, y, lengths = self._parts["train"]
        assert y is not None
        steps = x.shape[1] if layout == "sequences" else None
        self._coding = coding_of(y, steps, self.task, self.names, f"{name}: y")
        targets = self._coding.targets
        wanted = torch.from_numpy(self._coded("train"))
        rows, _ = self.split_off(targets.strata(wanted))
        facts = Facts(layout, x.shape[1:], targets.scaled(wanted[rows]))
        if layout == "images" or self.standardise:
            peak = 255 if layout == "images" and x.dtype == np.uint8 and x.max() > 1 else 1
            mean, std = moments(x, rows.numpy(), 2 if layout == "sequences" else 1, lengths)
            mean, std = tuple(m / peak for m in mean), tuple(s / peak for s in std)
            facts = replace(facts, mean=mean, std=std, peak=peak)
        self._check_augment(facts, padded=lengths is not None)
        if "auto" in (self.layout, self.task):
            asked = f"{targets.words}{' per step' if targets.per_step else ''}"
            tell(
                f"{name}: taken for {layout} ({_sizes(facts.sample)}) and {asked}; layout and task "
                "say otherwise"
            )
        return facts

    def parts(self) -> Parts:
        if self._parts is None:
            facts = self._facts
            self._facts = self.look()
            # Those of a checkpoint stay.
            self._facts = facts or self._facts
        assert self._parts is not None
        return self._parts

    def part(self, name: str) -> Samples:
        x, _, lengths = self.parts()[name]
        what = "training" if name == "train" else name
        return self.checked(torch.from_numpy(x), self._coded(name), lengths, part=what)

    def prepare(self, samples: Tensor, labels: Tensor, seed: int | None) -> Batch:
        facts, augment = self.facts, self.augment
        values = samples.float()
        if facts.layout == "images":
            values = values / facts.peak
            if seed is not None and isinstance(augment, ImageAugment):
                values = augment(values, seed, facts.mean)
            return standardised(values, facts.mean, facts.std, 1), labels
        if facts.layout == "sequences":
            values = values.transpose(0, 1).contiguous()
        if facts.mean:
            values = standardised(values, facts.mean, facts.std, 2 if values.ndim > 2 else 1)
        if seed is not None and isinstance(augment, SpikeAugment):
            values, labels = augment.fitted(len(values))(values, labels, seed, self.outputs)
        return values, labels

    def fingerprint(self) -> str | None:
        parts = self.load().values()
        return of_arrays(np.asarray(array) for part in parts for array in part if array is not None)

    def new_samples(self, part: Part, name: str) -> Part:
        """Samples of the same kind as the training set's, without targets; `name` is for errors."""
        facts, found = self.facts, part.x
        if found.ndim in {len(facts.sample), len(facts.sample) - (facts.sample[:1] == (1,))}:
            whole = found.reshape(1, *facts.sample) if found.size == np.prod(facts.sample) else None
            found = found if whole is None else whole
        made = sample_first(found, facts.layout, time_first=self.time_first)
        fixed = 1 if facts.layout == "sequences" else 0
        if made.ndim != len(facts.sample) + 1 or made.shape[1 + fixed :] != facts.sample[fixed:]:
            raise ValueError(
                f"{name}: found shape {found.shape}, expected (N, {_sizes(facts.sample)}), as the "
                "network was trained on"
            )
        if fixed and made.shape[1] != facts.sample[0]:
            tell(
                f"{name}: found {len(made):,} sequences of {made.shape[1]} steps; those of the "
                f"training had up to {facts.sample[0]}"
            )
        lengths = part.lengths
        if lengths is not None:
            steps = made.shape[1] if fixed else None
            lengths = check_lengths(lengths, len(made), steps, name).numpy()
        return Part(kept(made, lengths, name), None, lengths)

    def _canonical(self, part: Part, layout: str, where: str) -> Part:
        name = f"{self.title} ({'training' if where == 'train' else where} set)"
        x = sample_first(part.x, layout, time_first=self.time_first)  # type: ignore[arg-type]
        y, lengths = part.y, part.lengths
        steps = x.shape[1] if layout == "sequences" else None
        if y is None:
            raise ValueError(f"{name}: found no targets y, expected one for each sample")
        if self.time_first and y.ndim >= 2 and y.shape[:2] == x.shape[1::-1]:
            y = y.swapaxes(0, 1)
        if len(x) != len(y):
            swapped = layout == "sequences" and x.shape[1] == len(y)
            other = str(not self.time_first).lower()
            hint = f"; if its first two axes are swapped, set time_first to {other}"
            raise ValueError(f"{name}: found {len(x)} samples and {len(y)} labels{hint * swapped}")
        if lengths is not None:
            lengths = check_lengths(lengths, len(x), steps, name).numpy()
            y = without_padding(y, lengths, x.shape[1], self.task)
        return Part(kept(x, lengths, name), y, lengths)

    def _coded(self, part: str) -> Array:
        assert self._parts is not None
        assert self._coding is not None
        y = self._parts[part].y
        assert y is not None
        return self._coding(y, f"{self.title} ({part} set)")

    def _check_augment(self, facts: Facts, *, padded: bool) -> None:
        if self.augment is None:
            return
        wanted = {"images": ImageAugment, "sequences": SpikeAugment}.get(facts.layout)
        if wanted is None or not isinstance(self.augment, wanted):
            expected = "none" if wanted is None else wanted.__name__
            raise ValueError(
                f"augment: expected {expected} for {facts.layout}, got "
                f"{type(self.augment).__name__}"
            )
        if isinstance(self.augment, ImageAugment):
            self.augment.check(facts.shape)
            return
        self.augment.check(facts.sample)
        self.augment.check_targets(facts.targets, padded=padded)


class TensorData(ArrayData):
    """Tensors or arrays in memory, such as `TensorData(x, y)`.

    | samples | shape |
    |---|---|
    | images | `(N, C, H, W)`, `(N, H, W, C)`, grey `(N, H, W)` |
    | sequences | `(N, T, F)`, frames `(N, T, C, H, W)` |
    | rows of features, shown at every step | `(N, F)` |

    Numbers may be float64, float32, float16, bool or whole. Targets are described at
    `neurodyn.data.guess.coding_of`.

    Args:
        x: training samples.
        y: their targets: numbers or text.
        x_test, y_test: the test set; a part of the training samples unless given (`test`).
        lengths, lengths_test: the number of steps of each sample, `(N,)`; behind them is padding.
        mask, mask_test: the same as `(N, T)`, true where a step is not padding.
        options: as `ArrayData`.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        x_test: Any = None,
        y_test: Any = None,
        *,
        lengths: Any = None,
        lengths_test: Any = None,
        mask: Any = None,
        mask_test: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        given = {"x": x, "y": y, "x_test": x_test, "y_test": y_test, "mask": mask}
        given |= {"lengths": lengths, "lengths_test": lengths_test, "mask_test": mask_test}
        arrays = {name: as_array(v, name) for name, v in given.items() if v is not None}
        self._given = parts_of(arrays, self.title, time_first=self.time_first)

    def load(self) -> Parts:
        return self._given


def parts_of(
    arrays: Mapping[str, Array], name: str, *, time_first: bool = False
) -> dict[str, Part]:
    """Parts from arrays by their names: x, y, lengths or mask; and with `_val` and `_test`."""
    parts = {}
    for part, end in (("train", ""), ("validation", "_val"), ("test", "_test")):
        mine = {key: arrays.get(f"{key}{end}") for key in ("x", "y", "lengths", "mask")}
        x, mask = mine["x"], mine["mask"]
        if x is None:
            if any(value is not None for value in mine.values()) or part == "train":
                raise ValueError(
                    f"{name}: found {', '.join(sorted(arrays)) or 'no arrays'}, expected x{end} "
                    "(samples) and y (targets), and if there is a test set x_test and y_test"
                )
            continue
        if mask is not None:
            if mine["lengths"] is not None:
                raise ValueError(f"mask{end}: expected lengths{end} or a mask, got both")
            mask = mask.T if time_first else mask
            mine["lengths"] = lengths_of_mask(mask, f"mask{end}")
        parts[part] = Part(x, mine["y"], mine["lengths"])
    return parts


def _sizes(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
