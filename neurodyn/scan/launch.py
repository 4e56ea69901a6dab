"""Kernels bound to everything except their tensors, and what a backend has to provide.

`Launch` is the one place where arguments, gradients and results are collected, for all backends.
A `Backend` says only what is different about it.

The arguments of a kernel are, in this order,

    forward     inputs, operands; outputs, final states, checkpoints
    backward    inputs, operands, gradients of outputs; gradients of final states, checkpoints;
                gradients of inputs, sums

Operands are the initial states and the parameters that the kernel uses. Checkpoints are the states
at the start of every segment of time. Sums add up to the gradients of operands.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from neurodyn.files import MAKING
from neurodyn.scan import memory
from neurodyn.scan.layout import Operand, Shape, by_sample, layout_of
from neurodyn.scan.links import NO_LINKS, Links
from neurodyn.step.program import Program
from neurodyn.step.torch_private import is_zero

Wanted = tuple[bool, ...]
Start = Callable[[Sequence[Tensor | None]], None]
Finish = Callable[[Sequence[Any]], Tensor]


class Spec(NamedTuple):
    """The properties of a tensor that a launch depends on.

    A `negative` tensor is a lazy negation: its memory holds the numbers with the other sign. A
    `zero` tensor has no memory at all.
    """

    shape: Shape
    strides: Shape
    dtype: torch.dtype
    device: torch.device
    negative: bool
    zero: bool


Specs = tuple[Any, ...]
"""The fields of each tensor's `Spec`, or None where there is no tensor; hashable."""


def specs(tensors: Sequence[Tensor | None]) -> Specs:
    """The properties of these tensors that a launch depends on."""
    return tuple(
        [
            t if t is None else (t.shape, t.stride(), t.dtype, t.device, t.is_neg(), is_zero(t))
            for t in tensors
        ]
    )


class Backend(ABC):
    """The contract of a backend.

    A backend called `name` is the class `Target` of the module `neurodyn.scan.<name>`. It provides

    - `why_not(program, device, dtypes)`: why it cannot run a program on inputs on that device and
      of these dtypes; None if it can.
    - `stored(program, dtype)`: the dtype in which its kernels read and write tensors of a dtype.
      Tensors are converted where the two differ.
    - `segment(steps)`: the number of steps from one checkpoint to the next.
    - `sums(launch, operand)`: how many partial sums a backward kernel writes for an operand's
      gradient, and their dtype. As many as the operand has values are the gradient, in the order of
      memory.
    - `total(launch, operand, sums)`: the gradient, from these sums. The order of summation must not
      depend on the machine or the number of threads, so that results are repeatable.
    - `variant(launch)`: what a kernel depends on besides the functions that it is made of.
    - `make(launch)`: a kernel. It is called once per program and variant; an exception is a reason
      to run the plain loop from then on.
    - `start(launch, kernel)`: a function that runs the kernel on a list of tensors. They come in
      the kernel's order (see the module's docstring) and lie in memory as `launch.layout` and
      `launch.strides` say; an argument that is absent is None.
    - `source(program)`: the text of both kernels, for people.
    """

    name: ClassVar[str]

    @abstractmethod
    def why_not(
        self, program: Program, device: str, dtypes: Sequence[torch.dtype]
    ) -> str | None: ...

    @abstractmethod
    def stored(self, program: Program, dtype: torch.dtype) -> torch.dtype: ...

    @abstractmethod
    def segment(self, steps: int) -> int: ...

    @abstractmethod
    def sums(self, launch: Launch, operand: Operand) -> tuple[int, torch.dtype]: ...

    @abstractmethod
    def total(self, launch: Launch, operand: Operand, sums: Tensor) -> Tensor: ...

    @abstractmethod
    def variant(self, launch: Launch) -> Hashable: ...

    @abstractmethod
    def make(self, launch: Launch) -> Any: ...

    @abstractmethod
    def start(self, launch: Launch, kernel: Any) -> Start: ...

    @abstractmethod
    def source(self, program: Program) -> str: ...


@cache
def backend_of(name: str) -> Backend:
    """A backend by its name; LLVM and Triton are imported when one is first asked for."""
    target: Backend = importlib.import_module(f"neurodyn.scan.{name}").Target()
    return target


class Launch:
    """A kernel bound to everything except its tensors. Calling it with them returns the results.

    `bind` adds arguments and results one by one; `bound` then completes it.

    Attributes:
        functions: the program's functions that the kernel is made of.
        wanted: which gradients the kernel computes; None for a forward kernel.
        specs: the tensors' properties; `x` are those of the first.
        steps, length: the number of steps of the sequence, and of a segment.
        operands: the places of initial states and parameters among the tensors.
        layout: how the kernel walks over a step, and how it finds operands.
        arguments: for each argument of the kernel the place of a tensor and a function of it, both
            optional. Without a place the function allocates the argument; without either the
            argument is absent.
        strides: for each argument those over time and over blocks. For an operand with one value
            per column: how many elements share a value, and how many values there are.
        dtypes: for each argument that of its numbers in memory; sums are the backend's own matter.
        finals, checkpoints: whether these are among the arguments.
        links: where matrices link states and inputs.
        results: functions of the list of arguments.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        wanted: Wanted | None,
        specs: Specs,
        links: Links = NO_LINKS,
    ) -> None:
        self.backend, self.program, self.wanted = backend_of(name), program, wanted
        self.functions, used = program.functions(wanted)
        self.specs: Any = [spec and Spec(*spec) for spec in specs]
        self.x = x = self.specs[0]
        n, m = len(program.trace.inputs), len(program.trace.states)
        self.operands = (*range(n, n + m), *(n + m + i for i in used))
        self.steps, self.length = x.shape[0], self.backend.segment(x.shape[0])
        shapes = tuple(tuple(self.specs[i].shape) for i in self.operands)
        self.links, step = links, tuple(x.shape[1:])
        lay = by_sample if links.fed else partial(layout_of, strides=x.strides[1:])
        self.layout = lay(step, operands=shapes)
        self.finals = self.checkpoints = False
        self.arguments: list[tuple[int | None, Callable[..., Tensor] | None]] = []
        self.strides: list[tuple[int, int]] = []
        self.dtypes: list[torch.dtype] = []
        self.results: list[Finish] = []
        for i in range(n):
            self.sequence(i)
        for i, operand in zip(self.operands, self.layout.operands, strict=True):
            self.operand(i, operand)

    def __call__(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        arguments = [
            (make and make()) if i is None else tensors[i] if make is None else make(tensors[i])
            for i, make in self.arguments
        ]
        self.start(arguments)
        return [finish(arguments) for finish in self.results]

    def bound(self) -> Launch:
        """This launch, complete: with its kernel, which needs all arguments to be known."""
        program, backend = self.program, self.backend
        variant = backend.name, self.wanted, backend.variant(self)
        with MAKING:
            if variant not in program.kernels:
                try:
                    program.kernels[variant] = backend.make(self)
                except Exception as error:
                    raise program.failed(backend.name, error) from error
        self.start = backend.start(self, program.kernels[variant])
        return self

    def argument(
        self,
        i: int | None = None,
        make: Callable[..., Tensor] | None = None,
        strides: tuple[int, int] | None = None,
        dtype: torch.dtype | None = None,
    ) -> int:
        """Add an argument; returns its place. `strides` are those of the layout's own order unless
        given, `dtype` is that of the arithmetic; `i` and `make` are explained at `arguments`."""
        self.arguments.append((i, make))
        self.strides.append(strides or (self.layout.elements, self.layout.period))
        self.dtypes.append(dtype or self.program.dtype)
        return len(self.arguments) - 1

    def fresh(self, steps: int | None, dtype: torch.dtype) -> Callable[..., Tensor]:
        """What allocates a sequence, or a step if `steps` is None, in the layout's order."""
        shape, strides = self.layout.shape, self.layout.strides
        if steps is not None:
            shape, strides = (steps, *shape), (self.layout.elements, *strides)
        return memory.allocator(shape, strides, dtype, self.x.device)

    def stored(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype in which the kernel reads and writes tensors of this one."""
        return self.backend.stored(self.program, dtype)

    def sequence(self, i: int, *, over_time: bool = True) -> None:
        """Add a sequence, or a single step. It is copied if the kernel cannot read it in place."""
        spec, dtype = self.specs[i], self.stored(self.specs[i].dtype)
        time, *strides = spec.strides if over_time else (0, *spec.strides)
        block = self.layout.block_stride(tuple(strides))
        if block is None or spec.negative or spec.zero or dtype != spec.dtype:
            make = self.fresh(self.steps if over_time else None, dtype)
            self.argument(i, lambda x: make().copy_(x), None, dtype)
        else:
            self.argument(i, None, (time, block), dtype)

    def operand(self, i: int, operand: Operand) -> None:
        """Add an initial state or a parameter. It is copied if the kernel cannot read it in
        place."""
        spec, dtype = self.specs[i], self.stored(self.specs[i].dtype)

        def hold(value: Tensor) -> Tensor:
            value = torch.zeros_like(value) if spec.zero else value.resolve_neg()
            return self.layout.values(value.to(dtype), operand)

        one = operand.kind == "one"
        direct = self.layout.in_place(spec.strides, operand) and not (spec.negative or spec.zero)
        strides = (operand.run, operand.size) if one else (0, self.layout.period)
        self.argument(i, None if direct and dtype == spec.dtype else hold, strides, dtype)

    def gradient(self, i: int, *, over_time: bool = True) -> None:
        """Add the gradient of an output or of a final state; zeros if there is none."""
        if self.specs[i] and not self.specs[i].zero:
            self.sequence(i, over_time=over_time)
        else:
            dtype = self.stored(self.x.dtype if over_time else self.program.dtype)
            make = self.fresh(None, dtype)
            self.argument(None, lambda: make().zero_(), (0, self.layout.period), dtype)

    def written(self, dtype: torch.dtype) -> Finish:
        """Add a sequence that the kernel writes; returns the result made from it."""
        stored = self.stored(dtype)
        at = self.argument(None, self.fresh(self.steps, stored), dtype=stored)
        return itemgetter(at) if stored == dtype else lambda arguments: arguments[at].to(dtype)

    def summed(self, i: int, operand: Operand) -> Finish:
        """Add the partial sums of an operand's gradient; returns the result made from them."""
        spec, (count, dtype) = self.specs[i], self.backend.sums(self, operand)
        direct = count == math.prod(spec.shape) and self.layout.natural(operand)
        shape = spec.shape if direct else (count,)
        at = self.argument(None, partial(torch.empty, shape, dtype=dtype, device=self.x.device))
        if direct:
            return lambda arguments: arguments[at].to(spec.dtype)

        def total(arguments: Sequence[Any]) -> Tensor:
            value = self.backend.total(self, operand, arguments[at]).to(spec.dtype)
            if value.shape != spec.shape:
                value = value.reshape(spec.shape)
            return value.contiguous()

        return total

    def zeros(self, i: int) -> Finish:
        """The result for a tensor that the step does not depend on: an operator returns zeros."""
        spec = self.specs[i]
        make = self.fresh(self.steps, spec.dtype)
        if i >= len(self.program.trace.inputs):
            make = partial(torch.empty, spec.shape, dtype=spec.dtype, device=self.x.device)
        return lambda _: make().zero_()
