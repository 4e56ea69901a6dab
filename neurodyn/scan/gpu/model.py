"""The time that a kernel should take on an H100, from its machine code and the bytes it moves.

A multiprocessor holds as many programs as registers, shared memory and warps allow. While these are
at one segment of time, or at the whole of a short sequence, they take the longest of

    bytes / bandwidth      their share of the chip's bandwidth
    instructions / rate    four instructions per cycle, of whole warps
    waits * LATENCY        a program waits for memory once for each `waits`

The model says which of these rules, and how far from the bytes that have to move a kernel is. It
knows no tails, no conflicts and no start of a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodyn.scan.gpu.machine import Reading
from neurodyn.scan.gpu.walk import bind, walk_of
from neurodyn.scan.launch import Launch

PROCESSORS, BANDWIDTH, CLOCK = 132, 3.0e12, 1.755e9
LATENCY = 0.7e-6
"""Seconds until a load arrives while memory is busy."""
REGISTERS, SHARED, WARPS, BLOCKS = 1 << 16, 227 << 10, 64, 32
"""What a multiprocessor has."""
ISSUED = 4
"""Instructions per cycle of a multiprocessor, of a warp each."""


@dataclass(frozen=True)
class Estimate:
    """What the model says of a launch.

    Attributes:
        moved, floor: bytes that the kernel moves, and those of the sequences alone, per element
            and step.
        warps: resident on a multiprocessor.
        memory, issue, latency: seconds of each, as factors of the floor's time.
        spread: the share of the chip that has a program.
    """

    moved: float
    floor: float
    warps: int
    memory: float
    issue: float
    latency: float
    spread: float

    @property
    def ratio(self) -> float:
        """Time over the floor's time."""
        return max(self.memory, self.issue, self.latency)


def moved(launch: Launch) -> tuple[float, float]:
    """Bytes per element and step: of all that the kernel moves, and of the sequences alone."""
    trace, layout, backward = launch.program.trace, launch.layout, launch.wanted is not None
    n, m, states = len(trace.inputs), len(layout.operands), len(trace.states)
    kinds = ["sequence"] * n + ["operand"] * m + ["sequence"] * trace.n_outputs
    kinds += ["step"] * states + ["checkpoint"] * states
    if backward:
        after = len(launch.arguments) - len(kinds) - len(launch.functions.summed)
        kinds += ["sequence"] * after + ["sum"] * len(launch.functions.summed)
    sizes = {"sequence": 1.0, "step": 1 / launch.steps, "operand": 0.0, "sum": 0.0}
    sizes["checkpoint"] = -(-launch.steps // launch.length) / launch.steps
    total = floor = 0.0
    for kind, (at, make), dtype in zip(kinds, launch.arguments, launch.dtypes, strict=True):
        if at is not None or make is not None:
            total += sizes[kind] * dtype.itemsize
            floor += dtype.itemsize * (kind == "sequence")
    summed = dict(zip(launch.operands, layout.operands, strict=True))
    work = launch.steps * layout.elements
    leaves = launch.functions.leaves
    for place, operand in summed.items():
        if backward and leaves[place] in launch.functions.summed:
            count, dtype = launch.backend.sums(launch, operand)
            # Written, and read again to be added up.
            total += 2 * count * dtype.itemsize / work
    return total, floor


def estimate(launch: Launch, reading: Reading) -> Estimate:
    """The model's estimate for a launch whose kernel was read."""
    walk, sizes = walk_of(launch), walk_of(launch).sizes
    registers = -(-reading.registers // 8) * 8 * 32 * sizes.warps
    programs = min(REGISTERS // registers, WARPS // sizes.warps, BLOCKS)
    programs = min(programs, SHARED // (reading.shared + 1024))
    there = walk.columns * walk.groups
    programs = max(1, min(programs, -(-there // PROCESSORS)))
    warps, (total, floor) = programs * sizes.warps, moved(launch)
    work = programs * bind(launch).constants["BLOCK"] * launch.length
    least = work * floor / (BANDWIDTH / PROCESSORS)
    issue = warps * reading.instructions / ISSUED / CLOCK
    return Estimate(
        moved=total,
        floor=floor,
        warps=warps,
        memory=total / floor,
        issue=issue / least,
        latency=reading.waits * LATENCY / least,
        spread=min(1.0, there / PROCESSORS),
    )
