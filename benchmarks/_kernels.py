"""GPU kernels read as machine code: what `neurodyn bench gpu --compile-only` prints.

No GPU is needed. Triton compiles the kernels that training would start, for an H100, and the
machine code says how many registers they take, how wide their loads are and how often they wait.
`neurodyn.scan.gpu.model` says what that should cost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.neurons import LIF, LNM, QIF, MultiTimescale, Planar
from neurodyn.scan.gpu.machine import compiled, launches, read
from neurodyn.scan.gpu.model import estimate
from neurodyn.scan.gpu.walk import walk_of
from neurodyn.scan.launch import Launch
from neurodyn.step.graph import Node, reachable

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LENGTHS = (4, 16)
"""One segment, and several."""
FLAT, MAPS, FEW = (128, 128, 1024), (256, 64, 32, 32), (128, 512)


def flat(steps: int, dtype: torch.dtype) -> Tensor:
    """A sequence of 16 M elements per step, without memory."""
    return torch.empty(steps, *FLAT, dtype=dtype, device="meta")


def few(steps: int, dtype: torch.dtype) -> Tensor:
    """A sequence of 64 K elements per step, in which latency rules."""
    return torch.empty(steps, *FEW, dtype=dtype, device="meta")


def maps(steps: int, dtype: torch.dtype, *, last: bool) -> Tensor:
    """Feature maps of 16 M elements per step, without memory; with the channels last or not."""
    batch, channels, *space = MAPS
    if not last:
        return torch.empty(steps, *MAPS, dtype=dtype, device="meta")
    return torch.empty(steps, batch, *space, channels, dtype=dtype, device="meta").movedim(-1, 2)


Make = tuple[Callable[[], nn.Module], Callable[[int, torch.dtype], Tensor]]
CLASSES: dict[str, Make] = {
    "LIF": (LIF, flat),
    "QIF": (QIF, flat),
    "LNM": (LNM, flat),
    "LNM, few elements": (LNM, few),
    "MultiTimescale": (MultiTimescale, flat),
    "LNM per channel": (partial(LNM, MAPS[1:], per="channel"), partial(maps, last=True)),
    "LNM per channel, first": (partial(LNM, MAPS[1:], per="channel"), partial(maps, last=False)),
    "Planar per neuron": (partial(Planar, FLAT[1:], per="neuron"), flat),
}


def reading(name: str, dtype: str, steps: int) -> list[dict[str, Any]]:
    """The forward and backward kernels of a class."""
    make, shape = CLASSES[name]
    neuron: Any = make()
    rows = []
    for launch in launches(neuron, shape(steps, DTYPES[dtype]), neuron.initial_state()):
        found = read(compiled(launch))
        cost = estimate(launch, found)
        rows.append(
            {
                "direction": "backward" if launch.wanted else "forward",
                "dtype": dtype,
                "steps": steps,
                **{k: v for k, v in vars(found).items() if k != "loads"},
                "loads": {str(width): count for width, count in sorted(found.loads.items())},
                **vars(cost),
                "each": found.instructions / (walk_of(launch).sizes.each * launch.length),
                "trigonometry": any(node.op in ("sin", "cos") for node in nodes(launch)),
                "ratio": cost.ratio,
            }
        )
    return rows


def nodes(launch: Launch) -> list[Node]:
    """What a launch's kernel computes from parameters alone."""
    return reachable(launch.functions.prepare.results)


def table(title: str, case: dict[str, Any]) -> str:
    lines = [
        f"### {title}",
        "",
        "| kernel | dtype | T | registers | stack B | loads of 16, 8, <= 4 B | waits "
        "| per element | moved B | x sequences | issue | latency | model x floor |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in case["rows"]:
        loads = {int(width): count for width, count in row["loads"].items()}
        narrow = sum(count for width, count in loads.items() if width <= 4)
        lines.append(
            f"| {row['direction']} | {row['dtype']} | {row['steps']} | {row['registers']} "
            f"| {row['stack']} | {loads.get(16, 0)}, {loads.get(8, 0)}, {narrow} | {row['waits']} "
            f"| {row['each']:.0f} | {row['moved']:.2f} | {row['memory']:.2f} "
            f"| {row['issue']:.2f} | {row['latency']:.2f} | {row['ratio']:.2f} |"
        )
    return "\n".join(lines)


HEADING = [
    "# GPU kernels, as machine code of an H100",
    "",
    "`neurodyn bench gpu --compile-only`; no GPU is needed, and none was there. 16 M elements per "
    "step, except where they are few: 64 K.",
    "Waits: how often a thread waits for loads that it has just issued, in the loop over segments "
    "of 8 steps, or in the whole kernel if there is one segment. Copies into shared memory run one "
    "segment ahead, and do not count. Per element: instructions of a thread per element and "
    "step, of that loop or of the kernel.",
    "Moved: bytes per element and step. `x sequences`, `issue` and `latency` are times by the "
    "model, in units of the time that the sequences take at 3.0 TB/s: all bytes that move, "
    "instructions of all resident warps, waits of 0.7 us. The largest of them is the model's "
    "estimate, `model x floor`. It is a model, not a measurement.",
]
