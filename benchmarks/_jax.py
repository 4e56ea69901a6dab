"""LIF and a cubic neuron as they are written in JAX: `lax.scan` of a step, under `jit`.

JAX compiles forward and backward pass each into one program. Tensors cross over without a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks._peers import Contender

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


def contenders(jax: Any, device: torch.device, dtype: torch.dtype) -> list[Contender]:
    """Both neurons, with an arctan window."""
    spike = _spike(jax)

    def lif(tau: Any, u: Any, x: Any) -> tuple[Any, Any]:
        h = u + (x - u) / tau
        s = spike(h - 1.0)
        return h * (1.0 - s), s

    def cubic(c: Any, u: Any, x: Any) -> tuple[Any, Any]:
        h = u + 0.5 * (c[0] + u * (c[1] + u * (c[2] + u * c[3]))) + x
        s = spike(h - 1.0)
        return h * (1.0 - s), s

    return [
        Contender("JAX LIF, lax.scan", lambda: _Scan(jax, lif, 2.0), _run),
        Contender("JAX cubic neuron, lax.scan", lambda: _Scan(jax, cubic, [0, -1.0, 0, 0]), _run),
    ]


def _spike(jax: Any) -> Callable[[Any], Any]:
    """1 where the argument is 0 or more; its derivative is that of an arctan."""
    numpy = jax.numpy

    @jax.custom_jvp
    def spike(v: Any) -> Any:
        return (v >= 0).astype(v.dtype)

    @spike.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (v,), (t,) = primals, tangents
        return spike(v), t / (1 + (numpy.pi * v) ** 2)

    found: Callable[[Any], Any] = spike
    return found


class _Scan:
    """A step over time, compiled; its parameters are learned too."""

    def __init__(self, jax: Any, step: Step, start: Any) -> None:
        self.jax, self.parameters = jax, jax.numpy.asarray(start, dtype="float32")

        def over_time(parameters: Any, x: Any) -> Any:
            u = jax.numpy.zeros(x.shape[1:], x.dtype)
            return jax.lax.scan(lambda u, x: step(parameters.astype(x.dtype), u, x), u, x)[1]

        # What `vjp` keeps for the way back is a tree of arrays, which a compiled function may give.
        self.forward = jax.jit(lambda p, x: jax.vjp(over_time, p, x))
        self.backward = jax.jit(lambda pull, grad: pull(grad))

    def to(self, *_: Any) -> _Scan:
        return self


def _run(model: _Scan, x: Tensor) -> Tensor:
    spikes: Tensor = _Bridge.apply(model, x)  # type: ignore[no-untyped-call]
    return spikes


class _Bridge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, model: _Scan, x: Tensor) -> Tensor:
        ctx.model = model
        array = model.jax.dlpack.from_dlpack(x.detach())
        spikes, ctx.pull = model.forward(model.parameters, array)
        return torch.from_dlpack(model.jax.block_until_ready(spikes))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        jax = ctx.model.jax
        array = jax.dlpack.from_dlpack(grad.contiguous())
        _, of_x = jax.block_until_ready(ctx.model.backward(ctx.pull, array))
        return None, torch.from_dlpack(of_x)
