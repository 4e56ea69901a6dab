"""GPU kernels as machine code, of a GPU that need not be there.

A launch that is bound for a CUDA device has all that Triton's compiler needs, whether there is such
a device or not. The machine code says what a kernel asks of the chip: registers, bytes of each
access to memory, instructions, and how often a thread waits for memory.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurodyn.scan.bind import bind_backward, bind_forward
from neurodyn.scan.gpu.walk import bind
from neurodyn.scan.launch import Launch
from neurodyn.step.program import program_of

HOPPER = ("cuda", 90, 32)
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}
WIDTHS = {"U8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}
INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]{4,5}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*(.*?);")


@dataclass(frozen=True)
class Reading:
    """What a kernel's machine code says.

    Attributes:
        registers, stack: of a thread; bytes on the stack went through memory.
        shared: bytes of shared memory of a program.
        loads: how many loads have how many bytes. Those of 4 bytes and less are parameters where
            sequences have wider ones.
        waits: how often a thread computes with loads that it has issued since it last waited, in
            the loop over segments if there is one. Copies into shared memory do not count: they
            are made one segment ahead.
        instructions: of that loop, or of the whole kernel.
    """

    registers: int
    stack: int
    shared: int
    loads: dict[int, int]
    waits: int
    instructions: int


def launches(
    cell: nn.Module,
    x: Tensor,
    state: Sequence[Tensor],
    *,
    n_inputs: int = 1,
    wanted: Sequence[bool] | None = None,
    finals: bool = False,
) -> tuple[Launch, Launch]:
    """The forward and backward launches that training starts, for a CUDA device.

    Args:
        cell: the step and its parameters.
        x: an input over time; all inputs are like it. A tensor on the `meta` device will do.
        state: initial states.
        n_inputs: how many of the step's arguments are inputs.
        wanted: which of inputs, states and parameters need gradients; by default those that
            require them, and the inputs.
        finals: whether final states are results, and have gradients.
    """
    program, parameters = program_of(cell, n_inputs, len(state), torch.float32)
    if isinstance(program, Exception):
        raise program
    tensors = [*state, *parameters]
    leaves = (*[_spec(x)] * n_inputs, *map(_spec, tensors))
    forward = bind_forward("gpu", program.key, True, finals, leaves)
    needed = wanted or [*[True] * n_inputs, *(tensor.requires_grad for tensor in tensors)]
    one = torch.empty_like(x[0], dtype=torch.float32, device="meta")
    count = -(-forward.steps // forward.length) if forward.checkpoints else 0
    checkpoint = torch.empty(max(count, 1), *one.shape, device="meta")
    strides = (one.numel(), *one.stride())
    checkpoint = checkpoint.as_strided(checkpoint.shape, strides)
    after = [_spec(one) if finals else None] * len(state)
    kept = [_spec(checkpoint)] * len(state) if count else []
    grads = [_spec(x)] * program.trace.n_outputs
    backward = bind_backward("gpu", program.key, tuple(needed), (*leaves, *grads, *after, *kept))
    return forward, backward


def _spec(tensor: Tensor) -> tuple[Any, ...]:
    """A tensor's `Spec`, as if it were on a GPU."""
    device = torch.device("cuda", 0)
    return (tensor.shape, tensor.stride(), tensor.dtype, device, False, False)


def compiled(launch: Launch) -> Any:
    """A launch's kernel, compiled for Hopper GPUs with arguments as Triton would find them."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = launch.program.kernels["gpu", launch.wanted, launch.backend.variant(launch)]
    bound, names = bind(launch), list(inspect.signature(kernel.fn).parameters)
    kinds: list[str] = []
    numbers: list[int | None] = []
    given = zip(launch.arguments, launch.dtypes, bound.numbers, strict=True)
    for (at, make), dtype, more in given:
        if at is not None or make is not None:
            kinds += [POINTERS[dtype], *map(_integer, more)]
            numbers += [None, *more]
    kinds += map(_integer, bound.sizes)
    numbers += bound.sizes
    constants = {k: v for k, v in bound.constants.items() if k in names}
    options = {k: v for k, v in bound.constants.items() if k not in names}
    signature = dict(zip(names, [*kinds, *["constexpr"] * len(constants)], strict=True))
    divisible = []
    for i, (name, number) in enumerate(zip(names, numbers, strict=False)):
        if name == "steps":  # Not specialised.
            continue
        if number == 1:
            constants[name], signature[name] = 1, "constexpr"
        elif number is None or number % 16 == 0:
            divisible.append(i)
    source = ASTSource(
        kernel,
        signature,
        {(names.index(name),): value for name, value in constants.items()},
        {(i,): [["tt.divisibility", 16]] for i in divisible},
    )
    return triton.compile(source, target=GPUTarget(*HOPPER), options=options)


def _integer(number: int) -> str:
    return "i32" if -(2**31) <= number < 2**31 else "i64"


def read(kernel: Any) -> Reading:
    """Read the machine code of a compiled kernel."""
    usage = re.search(r"REG:(\d+) STACK:(\d+)", _said("cuobjdump", kernel, "-res-usage"))
    assert usage is not None
    listing = _listing(_said("nvdisasm", kernel, "-c"))
    counts = Counter(
        _width(op) for op, _ in listing if op.startswith(("LDG.", "LDGSTS.")) and op != "LDGDEPBAR"
    )
    body = _body(listing)
    instructions = sum(not op.startswith(".") for op, _ in body)
    registers, stack = map(int, usage.groups())
    shared = int(kernel.metadata.shared)
    return Reading(registers, stack, shared, dict(counts), _waits(body), instructions)


def _said(name: str, kernel: Any, option: str) -> str:
    """What a tool of Triton's says of a kernel's machine code."""
    import triton

    path = Path(triton.__file__).parent / "backends/nvidia/bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        command = [str(path), option, file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _listing(text: str) -> list[tuple[str, str]]:
    """Instructions with their operands, and labels with nothing."""
    found = []
    for line in text.splitlines():
        if line.startswith(".L_"):
            found.append((line.rstrip(":"), ""))
        elif match := INSTRUCTION.match(line):
            found.append((match[1], match[2]))
    return found


def _body(listing: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The innermost loop that writes results, over segments or blocks; without one, the kernel."""
    labels = {op: i for i, (op, _) in enumerate(listing) if op.startswith(".L_")}
    found = [(0, len(listing))]
    for i, (op, operands) in enumerate(listing):
        target = re.search(r"\.L_\w+", operands) if op.startswith("BRA") else None
        start = labels.get(target[0], i) if target else i
        if any(inside.startswith("STG") for inside, _ in listing[start:i]):
            found.append((start, i + 1))
    return listing[slice(*min(found, key=lambda loop: loop[1] - loop[0]))]


def _width(op: str) -> int:
    """Bytes of a load."""
    return next((WIDTHS[part] for part in op.split(".") if part in WIDTHS), 4)


def _waits(body: list[tuple[str, str]]) -> int:
    """How often an instruction reads a register whose load was issued after the last wait."""
    pending: set[int] = set()
    waits = 0
    for op, operands in body:
        target, _, sources = operands.partition(",")
        reads = operands if op.startswith(("ST", "RED", "ISETP", "FSETP")) else sources
        if pending & _registers(reads):
            waits, pending = waits + 1, set()
        if op.startswith("LDG."):
            first = re.match(r"R(\d+)", target)
            words = -(-_width(op) // 4)
            pending |= {int(first[1]) + i for i in range(words)} if first else set()
    return waits


def _registers(operands: str) -> set[int]:
    found = re.findall(r"(?<![A-Z])R(\d+)(\.64)?", operands)
    return {int(n) + i for n, wide in found for i in range(2 if wide else 1)}
