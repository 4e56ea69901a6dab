"""Finds the launch that runs a program on given tensors, or makes it.

A program is bound once to its tensors' shapes, strides, dtypes and device. Binding chooses the
layout, makes the kernel, and writes down how each argument is read, what is allocated and how
results are finished. A warm call looks its launch up and fills in addresses.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter

from neurodyn.scan.launch import Finish, Launch, Spec, Specs, Wanted, backend_of
from neurodyn.step.program import Program, program_by_key

REMEMBERED = 4096
"""Launches in each direction: enough for two hundred layers and twenty lengths of time."""


class UnfitError(Exception):
    """A backend cannot run a program on such tensors; the message says why."""


def unfit(name: str, program: Program, leaves: Specs) -> str | None:
    """Why a backend cannot run a program on inputs, states and parameters like these, or None."""
    n, (x, *others) = len(program.trace.inputs), [Spec(*leaf) for leaf in leaves]
    step = x.shape[1:]
    for shape, *_ in others[n - 1 :]:
        pairs = zip(reversed(shape), reversed(step), strict=False)
        if len(shape) > len(step) or any(size not in (1, given) for size, given in pairs):
            return (
                f"a parameter or state of shape {tuple(shape)} does not broadcast to {tuple(step)}"
            )
    if any(other.device != x.device for other in others):
        return f"not all tensors of the cell are on {x.device}, as x is"
    dtypes = [x.dtype, *(other.dtype for other in others[: n - 1])]
    return backend_of(name).why_not(program, x.device.type, dtypes)


@lru_cache(maxsize=REMEMBERED)
def bind_forward(name: str, key: str, keep: bool, final: bool, leaves: Specs) -> Launch:
    """The launch that gives outputs over time, final states and checkpoints.

    Args:
        name, key: the backend and the program.
        keep: give checkpoints, for a backward pass; a sequence of one segment needs none.
        final: give final states.
        leaves: inputs, states and parameters, with which the launch is called.
    """
    program = program_by_key(key)
    if (reason := unfit(name, program, leaves)) is not None:
        raise UnfitError(reason)
    launch = Launch(name, program, None, leaves)
    launch.finals, launch.checkpoints = final, keep and launch.steps > launch.length
    for _ in range(program.trace.n_outputs):
        launch.results.append(launch.written(launch.x.dtype))
    segments = -(-launch.steps // launch.length)
    for steps, asked in ((None, launch.finals), (segments, launch.checkpoints)):
        for _ in program.trace.states:
            at = launch.argument(None, launch.fresh(steps, program.dtype) if asked else None)
            launch.results += [itemgetter(at)] if asked else []
    return launch.bound()


@lru_cache(maxsize=REMEMBERED)
def bind_backward(name: str, key: str, wanted: Wanted, tensors: Specs) -> Launch:
    """The launch that gives the wanted gradients of inputs, states and parameters.

    Args:
        name, key: the backend and the program.
        wanted: which of them.
        tensors: inputs, states and parameters; the gradients of outputs and of final states, None
            where they are zero; checkpoints. The launch is called with these.
    """
    program, leaves = program_by_key(key), len(wanted)
    trace, states = program.trace, leaves + program.trace.n_outputs
    saved = leaves + len(trace.grads)
    launch = Launch(name, program, wanted, tensors)
    launch.finals = any(spec and not spec.zero for spec in launch.specs[states:saved])
    launch.checkpoints = len(tensors) > saved
    for i in range(leaves, states):
        launch.gradient(i)
    for i in range(states, saved):
        if launch.finals:
            launch.gradient(i, over_time=False)
        else:
            launch.argument()
    for i in range(saved, saved + len(trace.states)):
        launch.argument(i if launch.checkpoints else None)
    functions, results = launch.functions, dict[int, Finish]()
    for i, x in enumerate(trace.inputs):
        if functions.gradient(x) is not None:
            results[i] = launch.written(launch.specs[i].dtype)
    for i, operand in zip(launch.operands, launch.layout.operands, strict=True):
        leaf = functions.leaves[i]
        if leaf in functions.summed:
            results[i] = launch.summed(i, operand)
    launch.results = [results.get(i) or launch.zeros(i) for i in range(leaves) if wanted[i]]
    return launch.bound()
