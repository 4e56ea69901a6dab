"""The spike: a Heaviside step forward; backward, a window instead of its derivative.

Forward, `s = H(v)` with `v = h - threshold` and `H(0) = 1`. Its true derivative is zero almost
everywhere, so backward uses a window of width `w` around the threshold (Neftci et al. 2019):

    ds/dv = (scale / w) f(v / w)            f: the unit density of the class
    ds/dw = -(v / w) ds/dv                  the derivative of the smooth step S(v / w), S' = f

Every density here has `f(0) = 1` and area 1. So `w` means the same for all shapes: the width of
the rectangle of equal height and area. Usual parameters translate as: triangle g = w; sigmoid
slope 4/w; arctan alpha 2/w; Gaussian sigma w / sqrt(2 pi); fast sigmoid slope 2/w. Windows of
peak 1, which some papers print, are `scale=w`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from neurodyn.declared import Declared, shallow
from neurodyn.errors import unknown
from neurodyn.learned import Learned

Width = float | tuple[float, float] | Tensor | Literal["derived", "derived-reset"]
Spike = TypeVar("Spike", bound="Surrogate")


def heaviside(v: Tensor) -> Tensor:
    """`H(v)`. NaN in, NaN out: a comparison alone would turn a broken membrane into a silent
    neuron."""
    return torch.where(v == v, (v >= 0).to(v.dtype), v)


class _Spike(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        v: Tensor, width: Tensor, height: Tensor, density: Callable[[Tensor], Tensor]
    ) -> Tensor:
        return heaviside(v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, width, height, ctx.density = inputs
        ctx.save_for_backward(v, width, height)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        v, width, height = ctx.saved_tensors
        z = v / width
        grad_v = grads[0] * ctx.density(z) * height
        grad_width = None
        if ctx.needs_input_grad[1]:
            # Beyond the window `z` may be infinite, and 0 times infinity is not a number.
            slope = torch.where(grad_v == 0, grad_v, -(grad_v * z))
            grad_width = slope.sum_to_size(width.shape)
        return grad_v, grad_width, None, None


class Surrogate(Declared):
    """Base of the spike functions: `forward(v)` gives `H(v)`; subclasses give the `density`.

    Args:
        width: window width `w` in units of the membrane potential, > 0; a tensor or a pair gives
            one per channel or neuron of the neuron that takes the spike. `"derived"` makes it
            `w = 2 sqrt(Var[h])`, from that neuron's own parameters as they are at every call (LSG,
            IJCAI 2023; QIF, arXiv:2510.05168); `"derived-reset"` has the reset in the moments (see
            `neurodyn.neurons.window`).
        learn: train the width (as its logarithm, so that it stays positive).
        scale: factor on the window; the peak is `scale / w`.
    """

    width = Learned(1.0, "width of the window", low=0.0, inverse=True)

    def __init__(self, width: Width = 1.0, *, learn: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.derived = width if isinstance(width, str) else None
        if self.derived not in (None, "derived", "derived-reset"):
            raise ValueError(
                f"width: expected a positive number, 'derived' or 'derived-reset', got {width!r}"
            )
        if self.derived and learn:
            raise ValueError(f"learn: a width that is {width!r} cannot be learned as well")
        self._learn, self.scale, self.silent = learn, float(scale), False
        if not self.derived:
            self.alone("width", width)
        else:  # It follows from the neuron's parameters, so checkpoints leave it out.
            self.register_buffer("width", torch.ones(1), persistent=False)

    @staticmethod
    def density(z: Tensor) -> Tensor:
        """The window's shape `f(z)`: `f(0) = 1`, area 1."""
        raise NotImplementedError

    def window(self, v: Tensor) -> Tensor:
        """The derivative that backward uses at `v`."""
        return self.density(v / self.width) * (self.scale / self.width)

    def forward(self, v: Tensor) -> Tensor:
        if self.silent:
            return torch.zeros_like(v)
        if torch.compiler.is_exporting():  # Exported programs have no derivative.
            return heaviside(v)
        width: Tensor = self.width.to(v.dtype)
        # The height as a tensor: a number that changes would be symbolic to `torch.compile`.
        height = self.scale / width
        return _Spike.apply(v, width, height, self.density)  # type: ignore[no-any-return]

    def silenced(self: Spike) -> Spike:
        """This spike function, for one call in which it never fires."""
        twin = shallow(self)
        twin.silent = True
        return twin

    def of_width(self: Spike, width: Tensor) -> Spike:
        """This spike function, for one call with a derived width."""
        twin = shallow(self)
        twin.__dict__["_buffers"] = {**self._buffers, "width": width}
        return twin

    def extra_repr(self) -> str:
        return f"width={self.derived}" if self.derived else self.shown()


class Rectangle(Surrogate):
    """`f(z) = 1 where |z| <= 1/2` (STBP, Wu et al. 2018)."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        return (z.abs() <= 0.5).to(z.dtype)


class Triangle(Surrogate):
    """`f(z) = max(0, 1 - |z|)` (Bellec et al. 2018; the TET recipe, Deng et al. 2022, w = 1)."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        return (1 - z.abs()).clamp(min=0)


class Sigmoid(Surrogate):
    """`f(z) = 4 sigma(4z) (1 - sigma(4z))`, sigma the logistic function."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        p = torch.sigmoid(4 * z)
        return 4 * p * (1 - p)


class FastSigmoid(Surrogate):
    """`f(z) = 1 / (1 + 2|z|)^2` (SuperSpike, Zenke & Ganguli 2018)."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        d = 1 + 2 * z.abs()
        return 1 / (d * d)


class ArcTan(Surrogate):
    """`f(z) = 1 / (1 + (pi z)^2)` (PLIF, Fang et al. 2021, w = 1)."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        y = math.pi * z
        return 1 / (1 + y * y)


class Gaussian(Surrogate):
    """`f(z) = exp(-pi z^2)`."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        return torch.exp(-math.pi * z * z)


class Exponential(Surrogate):
    """`f(z) = exp(-2|z|)`, the piecewise exponential (Shrestha & Orchard 2018)."""

    @staticmethod
    def density(z: Tensor) -> Tensor:
        return torch.exp(-2 * z.abs())


class MultiGaussian(Surrogate):
    """A Gaussian with negative lobes (Yin et al. 2021, h = .15, s = 6), normalised as the others.

    `f(z) ~ (1 + h) N(y; 0, 1) - h N(y; 1, s) - h N(y; -1, s)` with `y = z w / sigma`.
    """

    H, S = 0.15, 6.0
    # With area 1, this is the peak at sigma = 1, that is w / sigma for a peak of 1 at w = 1.
    PEAK = ((1 + H) - 2 * H / S * math.exp(-0.5 / S**2)) / ((1 - H) * math.sqrt(2 * math.pi))

    @staticmethod
    def density(z: Tensor) -> Tensor:
        h, s, peak = MultiGaussian.H, MultiGaussian.S, MultiGaussian.PEAK
        y = z / peak

        def bell(y: Tensor, width: float) -> Tensor:
            return torch.exp(-0.5 * y * y / width**2) / width

        lobes = (1 + h) * bell(y, 1.0) - h * (bell(y - 1, s) + bell(y + 1, s))
        return lobes / ((1 - h) * peak * math.sqrt(2 * math.pi))


def make_surrogate(surrogate: str | Surrogate | None) -> Surrogate | None:
    """A spike function by its class's name, in any case, or the given one as it is."""
    if surrogate is None or isinstance(surrogate, Surrogate):
        return surrogate
    known = {cls.__name__: cls for cls in Surrogate.__subclasses__()}
    if not isinstance(surrogate, str):
        raise TypeError(f"surrogate: expected a name or a Surrogate, got {surrogate!r}")
    for name, cls in known.items():
        if name.lower() == surrogate.lower():
            return cls()
    raise unknown("surrogate", surrogate, known)
