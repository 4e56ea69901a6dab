"""Values that LLVM cannot trace back.

LLVM's vectoriser turns the arithmetic on the elements of a thread, and on the steps of a segment,
into vectors. A GPU has none, so they are taken apart again. By then the order is another, and twice
as many values are alive at once. A value that went through assembly has no origin that LLVM knows.
The instruction copies a register, and is gone in the machine code.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from neurodyn.scan.gpu.sizes import interpreted


def _same(x, after):  # type: ignore[no-untyped-def]
    return x


def _copied(x, after):  # type: ignore[no-untyped-def]
    # LLVM cannot compute with `x` before it has `after`, which the instruction does not read.
    return tl.inline_asm_elementwise(
        "mov.b32 $0, $1;", "=r,r,r", [x, after], dtype=tl.float32, is_pure=True, pack=1
    )


# Triton's interpreter has no assembly, and GPUs that are not NVIDIA's have another one.
_compiled = triton.jit(_copied if torch.version.hip is None else _same)
opaque = _same if interpreted() else _compiled
