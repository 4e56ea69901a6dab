"""From tensors to a kernel that runs on them: the one place where arguments are collected.

A `Launch` is a program bound to what its tensors look like: their shapes, strides, dtypes and
device. Binding chooses the layout, makes the kernel and writes down how each argument is read, what
is allocated and how results are finished. That happens once; a warm call looks its launch up and
fills in addresses. Targets differ in what a `Backend` says, and in nothing else.

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
from functools import cache, lru_cache, partial
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from neurodyn.files import MAKING
from neurodyn.scan.layout import Layout, Operand, Shape, layout_of
from neurodyn.step.program import Program, program_by_key
from neurodyn.step.torch_private import is_zero

REMEMBERED = 4096
"""Launches, of each direction: those of two hundred layers for twenty lengths of time."""

Wanted = tuple[bool, ...]
Start = Callable[[Sequence[Tensor | None]], None]
Hold = Callable[[Any], Tensor]
Finish = Callable[[Sequence[Any]], Tensor]


class Look(NamedTuple):
    """What a launch depends on of a tensor; `lazy`: its numbers are not in memory as they are."""

    shape: Shape
    strides: Shape
    dtype: torch.dtype
    device: torch.device
    negative: bool
    zero: bool

    @property
    def lazy(self) -> bool:
        return self.negative or self.zero


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

    - `why_not`: can it run this program on that device and these dtypes?
    - `stored`: in which dtype does a kernel read or write a sequence of a given dtype?
    - `segment`: how many steps lie between two checkpoints, for a sequence of so many steps?
    - `sum`, `total`: how many partial sums does a kernel write for an operand's gradient, and what
      do they add up to? The order must not depend on the machine, so that results are repeatable.
    - `variant`, `make`: what does a kernel depend on besides its functions, and how is it made?
      It is made once per program and variant.
    - `start`: given a launch, what runs it on tensors? They come in the kernel's order (see the
      module), dense where the layout says so; None stands for what is absent.
    - `source`: what does the kernel look like, for people?

    A kernel that cannot be made or started raises `program.failed(name, error)`; later calls then
    use the plain loop.
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
    def sum(self, launch: Launch, operand: Operand) -> tuple[int, torch.dtype]: ...

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


def unfit(name: str, program: Program, leaves: Looks) -> str | None:
    """Why a backend cannot run a program on inputs, states and parameters like these, or None."""
    n = len(program.trace.inputs)
    x, step = leaves[0], tuple(leaves[0][0][1:])
    for shape, *_ in leaves[n:]:
        pairs = zip(reversed(shape), reversed(step), strict=False)
        if len(shape) > len(step) or any(size not in (1, given) for size, given in pairs):
            return f"a parameter or state of shape {tuple(shape)} does not broadcast to {step}"
    device = Look(*x).device
    if any(Look(*leaf).device != device for leaf in leaves):
        return f"not all tensors of the cell are on {device}, as x is"
    return backend_of(name).why_not(
        program, device.type, [Look(*leaf).dtype for leaf in leaves[:n]]
    )


class UnfitError(Exception):
    """A backend cannot run a program on such tensors; the message says why."""


@lru_cache(maxsize=REMEMBERED)
def forward_launch(name: str, key: str, keep: bool, final: bool, leaves: Looks) -> Launch:
    """The launch that gives outputs over time, final states and checkpoints.

    Args:
        name, key: the backend and the program.
        keep: give checkpoints, for a backward pass; a sequence of one segment needs none.
        final: give final states.
        leaves: how inputs, states and parameters look; the launch is called with them.
    """
    program = program_by_key(key)
    if (reason := unfit(name, program, leaves)) is not None:
        raise UnfitError(reason)
    launch = Launch(backend_of(name), program, None, leaves)
    launch.finals, launch.checkpoints = final, keep and launch.steps > launch.length
    for _ in range(program.trace.n_outputs):
        launch.results.append(launch.sequence_result(launch.x.dtype))
    segments = -(-launch.steps // launch.length)
    for steps, asked in ((None, launch.finals), (segments, launch.checkpoints)):
        for _ in program.trace.states:
            if asked:
                at = launch.write(launch.fresh(steps, program.dtype))
                launch.results.append(itemgetter(at))
            else:
                launch.write(None)
    return launch.bound()


@lru_cache(maxsize=REMEMBERED)
def backward_launch(name: str, key: str, wanted: Wanted, tensors: Looks) -> Launch:
    """The launch that gives the wanted gradients of inputs, states and parameters.

    Args:
        name, key: the backend and the program.
        wanted: which of them.
        tensors: how these look: inputs, states and parameters; the gradients of outputs and of
            final states, None where they are zero; checkpoints. The launch is called with them.
    """
    program, n = program_by_key(key), len(wanted)
    trace, ends = program.trace, n + len(program.trace.grads)
    launch = Launch(backend_of(name), program, wanted, tensors[:n])
    launch.finals = any(map(launch.is_given, tensors[n + trace.n_outputs : ends]))
    launch.checkpoints = len(tensors) > ends
    for i in range(n, n + trace.n_outputs):
        launch.gradient(i, tensors[i])
    for i in range(n + trace.n_outputs, ends):
        if launch.finals:
            launch.gradient(i, tensors[i], over_time=False)
        else:
            launch.read(None)
    for i in range(ends, ends + len(trace.states)):
        launch.read(i if launch.checkpoints else None, strides=launch.dense)
    functions, results = launch.functions, dict[int, Finish]()
    for i, x in enumerate(trace.inputs):
        if functions.gradient(x) is not None:
            results[i] = launch.sequence_result(Look(*tensors[i]).dtype)
    for i, operand in zip(launch.operands, launch.layout.operands, strict=True):
        leaf = functions.leaves[i]
        if leaf in trace.states or functions.gradient(leaf) is not None:
            results[i] = launch.sum_result(operand, Look(*tensors[i]))
    launch.results = [
        results.get(i) or partial(launch.zeros, i, Look(*tensors[i])) for i in range(n) if wanted[i]
    ]
    return launch.bound()


class Launch:
    """A kernel bound to all but its tensors: called with them, it runs and returns its results.

    Attributes:
        functions: those of the program that the kernel is made of.
        wanted: which gradients it gives; None forward.
        x: how the first input looks.
        steps, length: steps of the sequence and of a segment.
        operands: where initial states and parameters are among the tensors.
        layout: how the kernel walks over a step, and how it finds operands.
        strides: of each argument, over time and over blocks; for an operand of which a column has
            one value, how many elements share it and how many values there are.
        finals, checkpoints: whether these are among the arguments.
        results: each is made of the list of tensors that the kernel has written.
    """

    def __init__(
        self, backend: Backend, program: Program, wanted: Wanted | None, leaves: Looks
    ) -> None:
        self.backend, self.program, self.wanted = backend, program, wanted
        self.functions, used = program.functions(wanted)
        n, m = len(program.trace.inputs), len(program.trace.states)
        self.operands = (*range(n, n + m), *(n + m + i for i in used))
        self.x = x = Look(*leaves[0])
        self.steps = x.shape[0]
        self.length = backend.segment(self.steps)
        shapes = tuple(tuple(leaves[i][0]) for i in self.operands)
        self.layout = layout_of(tuple(x.shape[1:]), tuple(x.strides[1:]), shapes)
        self.dense = self.layout.elements, self.layout.period
        self.finals = self.checkpoints = False
        self.reads: list[tuple[int | None, Hold | None]] = []
        self.writes: list[Callable[[], Tensor] | None] = []
        self.strides: list[tuple[int, int]] = []
        self.results: list[Finish] = []
        for i in range(n):
            self.sequence(i, Look(*leaves[i]))
        for i, operand in zip(self.operands, self.layout.operands, strict=True):
            self.operand(i, Look(*leaves[i]), operand)

    def __call__(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        given = [
            None if i is None else tensors[i] if hold is None else hold(tensors[i])
            for i, hold in self.reads
        ]
        fresh = [make and make() for make in self.writes]
        self.start([*given, *fresh])
        return [finish(fresh) for finish in self.results]

    def bound(self) -> Launch:
        """This launch with its kernel, once all arguments are known."""
        self.start = self.backend.start(self, self._kernel())
        return self

    def _kernel(self) -> Any:
        program, name = self.program, self.backend.name
        variant = name, self.wanted, self.backend.variant(self)
        if variant not in program.kernels:
            with MAKING:
                if variant not in program.kernels:
                    try:
                        program.kernels[variant] = self.backend.make(self)
                    except Exception as error:
                        raise program.failed(name, error) from error
        return program.kernels[variant]

    def stored(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype in which the kernel finds what has this one."""
        return self.backend.stored(self.program, dtype)

    def fresh(self, steps: int | None, dtype: torch.dtype) -> Callable[[], Tensor]:
        """What allocates a sequence (a step, if `steps` is None) in the layout's order."""
        lead, strides = ((), ()) if steps is None else ((steps,), (self.layout.elements,))
        size, strides = (*lead, *self.layout.shape), (*strides, *self.layout.strides)
        return partial(torch.empty_strided, size, strides, dtype=dtype, device=self.x.device)

    def read(
        self, i: int | None, hold: Hold | None = None, strides: tuple[int, int] = (0, 0)
    ) -> None:
        """An argument that is given: the `i`-th tensor, as `hold` turns it; None: it is absent."""
        self.reads.append((i, hold))
        self.strides.append(strides)

    def write(self, make: Callable[[], Tensor] | None) -> int:
        """An argument that is allocated, or absent; its place among those."""
        self.writes.append(make)
        self.strides.append(self.dense if make else (0, 0))
        return len(self.writes) - 1

    def sequence(self, i: int, look: Look, *, over_time: bool = True) -> None:
        """A sequence, or one step: read where it is, or copied into the layout's order."""
        dtype = self.stored(look.dtype)
        time, *strides = look.strides if over_time else (0, *look.strides)
        block = self.layout.block_stride(tuple(strides))
        if block is None or look.lazy or dtype != look.dtype:
            make = self.fresh(self.steps if over_time else None, dtype)
            self.read(i, lambda x: make().copy_(x), self.dense)
        else:
            self.read(i, None, (time, block))

    def operand(self, i: int, look: Look, operand: Operand) -> None:
        """An initial state or a parameter; a single number is read where it is."""
        one, dtype = operand.kind == "one", self.stored(look.dtype)

        def hold(value: Tensor) -> Tensor:
            value = torch.zeros_like(value) if look.zero else value.resolve_neg()
            return self.layout.values(value.to(dtype), operand)

        as_it_is = one and operand.size == 1 and not look.lazy and dtype == look.dtype
        strides = (operand.run, operand.size) if one else (0, self.layout.period)
        self.read(i, None if as_it_is else hold, strides)

    @staticmethod
    def is_given(look: Any) -> bool:
        """Whether a gradient is more than zero everywhere."""
        return look is not None and not Look(*look).zero

    def gradient(self, i: int, look: Any, *, over_time: bool = True) -> None:
        """The gradient of an output or of a final state; zeros of one step stand for none."""
        if self.is_given(look):
            self.sequence(i, Look(*look), over_time=over_time)
        else:
            make = self.fresh(None, self.stored(self.x.dtype if over_time else self.program.dtype))
            self.read(i, lambda _: make().zero_(), (0, self.layout.period))

    def sequence_result(self, dtype: torch.dtype) -> Finish:
        """A sequence that the kernel writes, as it is returned."""
        stored = self.stored(dtype)
        at = self.write(self.fresh(self.steps, stored))
        return itemgetter(at) if stored == dtype else lambda fresh: fresh[at].to(dtype)

    def sum_result(self, operand: Operand, look: Look) -> Finish:
        """The gradient of an operand, from sums that the kernel writes."""
        count, dtype = self.backend.sum(self, operand)
        at = self.write(partial(torch.empty, count, dtype=dtype, device=self.x.device))

        def total(fresh: Sequence[Any]) -> Tensor:
            value = self.backend.total(self.layout, operand, fresh[at])
            return value.to(look.dtype).reshape(look.shape)

        return total

    def zeros(self, i: int, look: Look, _: Sequence[Any]) -> Tensor:
        """The gradient of what the step does not depend on; an operator has to write it out."""
        if i < len(self.program.trace.inputs):
            return self.fresh(self.steps, look.dtype)().zero_()
        return torch.zeros(look.shape, dtype=look.dtype, device=self.x.device)
