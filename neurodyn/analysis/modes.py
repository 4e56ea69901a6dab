"""The modes of a neuron: how small deviations from its rest decay and turn, whatever its equation.

Near rest, a step without input and spike multiplies a deviation by a matrix, the step's Jacobian.
Each of its eigenvalues is a mode: `exp(-1/tau + 2 pi i / period)`. For a linear neuron that is all
there is; for any other it holds near rest.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from neurodyn.declared import shallow
from neurodyn.neurons import Neuron

NEWTON = 30
"""Steps after which the search for a rest ends."""
ABOVE = 1e-9
"""How far above a state its slopes are taken."""


@torch.inference_mode(False)
def eigenvalues(neuron: Neuron) -> Tensor:
    """Eigenvalues of a step at rest, without input and spike: `(*granularity, states)`, complex.

    The slowest comes first; of a complex pair, the one with the positive imaginary part. A state
    that keeps nothing without a spike, such as the last spike itself, has the eigenvalue 0.

    Rest is the fixed point that Newton's method finds from the initial state. Where it finds none,
    the initial state is taken.
    """
    found: Tensor = torch.linalg.eigvals(jacobian(neuron, *rest_state(neuron)))
    found = found.gather(-1, found.imag.argsort(dim=-1, descending=True, stable=True))
    return found.gather(-1, found.abs().argsort(dim=-1, descending=True, stable=True))


def time_constant(eigenvalue: Tensor) -> Tensor:
    """Timesteps in which a mode decays to `1/e`: infinite if it does not decay, negative if it
    grows."""
    tau: Tensor = -1 / eigenvalue.abs().log()
    return tau


def period(eigenvalue: Tensor) -> Tensor:
    """Timesteps in which a mode turns once: infinite if it does not turn, 2 if it changes sign at
    every step."""
    return 2 * math.pi / eigenvalue.angle().abs()


def oscillates(eigenvalue: Tensor) -> Tensor:
    """Whether a mode belongs to a complex pair and turns before it decays: `period < 2 pi tau`.

    Its response to an impulse then overshoots rest by more than `exp(-pi)`, 4 %.
    """
    # Rounding splits two equal eigenvalues into a pair that hardly turns.
    pair = eigenvalue.imag.abs() > 1e-6
    return pair & (eigenvalue.angle().abs() > -eigenvalue.abs().log())


@torch.inference_mode(False)
def rest_state(neuron: Neuron, x: float = 0.0) -> tuple[Tensor, ...]:
    """The states that a step with a constant input and no spike leaves alone, as `eigenvalues`
    takes them, each of the granularity's shape, in float64."""
    neuron = in_double(neuron)
    start = torch.stack([s.expand_as(neuron.threshold) for s in neuron.initial_state()], -1)
    start = start.detach()
    state, settled = newton(
        lambda state: _charged(neuron, state, x), lambda state: _jacobian(neuron, state, x), start
    )
    return torch.where(settled[..., None], state, start).unbind(-1)


def newton(
    step: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor], start: Tensor
) -> tuple[Tensor, Tensor]:
    """Where states `(..., n)` that a step leaves alone are found from a start, and whether.

    Args:
        step: the states after a step.
        slope: its derivative there, `(..., n, n)`.
        start: of the search.
    """
    unit, state = torch.eye(start.shape[-1], dtype=start.dtype), start
    for _ in range(NEWTON):
        residual = step(state) - state
        if not bool((residual.abs() > 1e-12).any()):
            break
        # IF has no single rest: its matrix has no inverse.
        inverse = torch.linalg.pinv(unit - slope(state))
        state = (state + (inverse @ residual[..., None])[..., 0]).nan_to_num(0.0, 0.0, 0.0)
    return state, ((step(state) - state).abs() < 1e-9).all(-1)


@torch.inference_mode(False)
def jacobian(neuron: Neuron, *state: Tensor, x: float = 0.0) -> Tensor:
    """The derivative of a step without spike by the states, `(*granularity, states, states)`: rows
    are the new states, columns the old ones."""
    return _jacobian(in_double(neuron), torch.stack(state, -1).double(), x)


@torch.no_grad()
def impulse_response(neuron: Neuron, steps: int = 100, size: float = 0.3) -> Tensor:
    """The charged membrane after an impulse at step 0, without spikes: `(steps, *granularity)`.

    A neuron starts at rest. Where its dynamics are not linear, the size of the impulse matters: the
    default leaves `QIF` below its critical potential. If a step calls neither `fire` nor `driven`,
    its first state is taken.
    """
    state = rest_state(neuron)
    twin = shallow(in_double(neuron))
    twin.spike = twin.spike.silenced()
    twin.seen = []
    course = []
    for t in range(steps):
        x = torch.full_like(state[0], size if t == 0 else 0.0)[None]
        state = tuple(s[0] for s in twin.step(x, *(s[None] for s in state))[1:])
        course.append(twin.seen.pop()[0] if twin.seen else state[0])
    return torch.stack(course)


def in_double(neuron: Neuron) -> Neuron:
    """A copy that computes in float64, on the CPU."""
    return copy.deepcopy(neuron).double().cpu()


def _charged(neuron: Neuron, state: Tensor, x: float) -> Tensor:
    """A step without spike; states in the last dimension."""
    before = [s[None] for s in state.unbind(-1)]
    after = neuron.charge(torch.full_like(before[0], x), *before)
    return torch.stack([s.expand_as(before[0])[0] for s in after], -1)


def _jacobian(neuron: Neuron, state: Tensor, x: float) -> Tensor:
    with torch.enable_grad():
        # At a kink, such as that of a ReLU, the slope above it counts: excitation goes there.
        state = (state.detach() + ABOVE).requires_grad_()
        after = _charged(neuron, state, x)
        # Neurons do not mix, so the gradient of a sum over them has a row for each.
        rows = [
            torch.autograd.grad(value.sum(), state, retain_graph=True)[0]
            for value in after.unbind(-1)
        ]
    return torch.stack(rows, -2)
