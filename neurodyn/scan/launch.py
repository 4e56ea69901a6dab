"""A kernel bound to all but its tensors, and what a target of kernels has to say.

A `Launch` is the one place where arguments, gradients and results are collected, for all targets.
Targets differ in what a `Backend` says, and in nothing else.

The arguments of a kernel are, in this order,

    forward     inputs, operands; outputs, final states, checkpoints
    backward    inputs, operands, gradients of outputs; gradients of final states, checkpoints;
                gradients of inputs, sums

Operands are the initial states and the parameters that the kernel uses. Checkpoints are the states
at the start of every segment of time. Sums add up to the gradients of operands.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from neurodyn.files import MAKING
from neurodyn.scan.layout import Layout, Operand, Shape, layout_of
from neurodyn.step.program import Program
from neurodyn.step.torch_private import is_zero

Wanted = tuple[bool, ...]
Start = Callable[[Sequence[Tensor | None]], None]
Finish = Callable[[Sequence[Any]], Tensor]


class Look(NamedTuple):
    """What a launch depends on of a tensor.

    The numbers of a `negative` tensor are those in its memory with the other sign, and a `zero`
    tensor has no memory.
    """

    shape: Shape
    strides: Shape
    dtype: torch.dtype
    device: torch.device
    negative: bool
    zero: bool


Looks = tuple[Any, ...]
"""The fields of a `Look` for each of several tensors, None where there is none; hashable."""


def looks(tensors: Sequence[Tensor | None]) -> Looks:
    """What a launch depends on of these tensors."""
    return tuple(
        [
            t if t is None else (t.shape, t.stride(), t.dtype, t.device, t.is_neg(), is_zero(t))
            for t in tensors
        ]
    )


class Backend(ABC):
    """What a target of kernels has to say. All else about running them is the same for every one.

    A target is a module `neurodyn.scan.<name>` with a subclass called `Target`. It answers:

    - `why_not`: can it run this program on that device, on inputs of these dtypes?
    - `stored`: in which dtype does a kernel read or write what has a given dtype?
    - `segment`: how many steps lie between two checkpoints, in a sequence of so many steps?
    - `sums`, `total`: how many partial sums does a kernel write for an operand's gradient, and what
      do they add up to? The order must not depend on the machine, so that results are repeatable.
    - `variant`, `make`: what does a kernel depend on besides its functions, and how is it made?
      It is made once per program and variant.
    - `start`: given a launch and its kernel, what starts it on tensors? They come in the kernel's
      order (see the module), and lie as the launch's `layout` and `strides` say; None is absent.
    - `source`: what do a program's kernels look like, for people?

    A kernel that cannot be made raises any exception from `make`, or `program.failed` from what
    `start` returned; later calls then use the plain loop.
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
    def total(self, layout: Layout, operand: Operand, sums: Tensor) -> Tensor: ...

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
    """A kernel bound to all but its tensors: called with them, it runs and returns its results.

    Attributes:
        functions: those of the program that the kernel is made of.
        wanted: which gradients it gives; None forward.
        looks: how the tensors look, `x` the first of them.
        steps, length: steps of the sequence and of a segment.
        operands: where initial states and parameters are among the tensors.
        layout: how the kernel walks over a step, and how it finds operands.
        arguments: those of the kernel, each a tensor's place and what is to be done with it, or
            what allocates it.
        strides: theirs, over time and over blocks; for an operand of which a column has one value,
            how many elements share it and how many values there are.
        finals, checkpoints: whether these are among the arguments.
        results: each is made from the list of arguments.
    """

    def __init__(self, name: str, program: Program, wanted: Wanted | None, looks: Looks) -> None:
        self.backend, self.program, self.wanted = backend_of(name), program, wanted
        self.functions, used = program.functions(wanted)
        self.looks: Any = [look and Look(*look) for look in looks]
        self.x = x = self.looks[0]
        n, m = len(program.trace.inputs), len(program.trace.states)
        self.operands = (*range(n, n + m), *(n + m + i for i in used))
        self.steps, self.length = x.shape[0], self.backend.segment(x.shape[0])
        shapes = tuple(tuple(self.looks[i].shape) for i in self.operands)
        self.layout = layout_of(tuple(x.shape[1:]), x.strides[1:], shapes)
        self.finals = self.checkpoints = False
        self.arguments: list[tuple[int | None, Callable[..., Tensor] | None]] = []
        self.strides: list[tuple[int, int]] = []
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
        """This launch with its kernel, once all arguments are known."""
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
    ) -> int:
        """The kernel's next argument; its place.

        Args:
            i: the place of the tensor that it is or is made from.
            make: what makes it, from the tensor if there is one; without either it is absent.
            strides: those of the layout's own order if not given.
        """
        self.arguments.append((i, make))
        self.strides.append(strides or (self.layout.elements, self.layout.period))
        return len(self.arguments) - 1

    def fresh(self, steps: int | None, dtype: torch.dtype) -> Callable[..., Tensor]:
        """What allocates a sequence (a step, if `steps` is None) in the layout's order."""
        shape, strides = self.layout.shape, self.layout.strides
        if steps is not None:
            shape, strides = (steps, *shape), (self.layout.elements, *strides)
        return partial(torch.empty_strided, shape, strides, dtype=dtype, device=self.x.device)

    def stored(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype in which the kernel reads or writes what has this one."""
        return self.backend.stored(self.program, dtype)

    def sequence(self, i: int, *, over_time: bool = True) -> None:
        """A sequence, or one step: read where it is, or copied into the layout's order."""
        look, dtype = self.looks[i], self.stored(self.looks[i].dtype)
        time, *strides = look.strides if over_time else (0, *look.strides)
        block = self.layout.block_stride(tuple(strides))
        if block is None or look.negative or look.zero or dtype != look.dtype:
            make = self.fresh(self.steps if over_time else None, dtype)
            self.argument(i, lambda x: make().copy_(x))
        else:
            self.argument(i, None, (time, block))

    def operand(self, i: int, operand: Operand) -> None:
        """An initial state or a parameter; a single number is read where it is."""
        look, dtype = self.looks[i], self.stored(self.looks[i].dtype)

        def hold(value: Tensor) -> Tensor:
            value = torch.zeros_like(value) if look.zero else value.resolve_neg()
            return self.layout.values(value.to(dtype), operand)

        one = operand.kind == "one"
        direct = one and operand.size == 1 and not (look.negative or look.zero)
        strides = (operand.run, operand.size) if one else (0, self.layout.period)
        self.argument(i, None if direct and dtype == look.dtype else hold, strides)

    def gradient(self, i: int, *, over_time: bool = True) -> None:
        """The gradient of an output or of a final state; the zeros of one step stand for none."""
        if self.looks[i] and not self.looks[i].zero:
            self.sequence(i, over_time=over_time)
        else:
            make = self.fresh(None, self.stored(self.x.dtype if over_time else self.program.dtype))
            self.argument(None, lambda: make().zero_(), (0, self.layout.period))

    def written(self, dtype: torch.dtype) -> Finish:
        """A sequence that the kernel writes, as it is returned."""
        stored = self.stored(dtype)
        at = self.argument(None, self.fresh(self.steps, stored))
        return itemgetter(at) if stored == dtype else lambda arguments: arguments[at].to(dtype)

    def summed(self, i: int, operand: Operand) -> Finish:
        """The gradient of an operand, from sums that the kernel writes."""
        look, (count, dtype) = self.looks[i], self.backend.sums(self, operand)
        at = self.argument(None, partial(torch.empty, count, dtype=dtype, device=self.x.device))

        def total(arguments: Sequence[Any]) -> Tensor:
            value = self.backend.total(self.layout, operand, arguments[at])
            return value.to(look.dtype).reshape(look.shape).contiguous()

        return total

    def zeros(self, i: int) -> Finish:
        """The gradient of what the step does not depend on; an operator has to write it out."""
        look = self.looks[i]
        make = self.fresh(self.steps, look.dtype)
        if i >= len(self.program.trace.inputs):
            make = partial(torch.empty, look.shape, dtype=look.dtype, device=self.x.device)
        return lambda _: make().zero_()
