"""Learned quantities: one line on a class, from which everything about one follows.

    class ALIF(Neuron):
        tau = Learned(2.0, "membrane time constant, timesteps", low=1.0, learn=False)
        rho = Learned(0.9, "share of the adaptation that a step keeps", low=0.0, high=1.0)

`self.rho` is the value. The line gives the constructor its argument, with type, default and
documentation; it keeps the bounds, stores what an optimiser sees, and shows the value in `repr`.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurodyn.errors import unknown

Shape = tuple[int, ...]
LinkName = Literal["logit", "softplus", "exp", "clamp"]
Number = float | tuple[float, float]


class Link(NamedTuple):
    """How bounds are kept: the value of an unbounded number, and that number for a value."""

    value: Callable[[Tensor, Any, Any], Tensor]
    raw: Callable[[Tensor, Any, Any], Tensor]


def _above(z: Tensor, low: float) -> Tensor:
    return z if low == 0 else low + z


def _between(p: Tensor, low: float, high: float) -> Tensor:
    return _above(p if high - low == 1 else (high - low) * p, low)


def _inverse_softplus(y: Tensor) -> Tensor:
    return y + torch.log(-torch.expm1(-y))


LINKS: dict[str, Link] = {
    "logit": Link(
        lambda raw, low, high: _between(torch.sigmoid(raw), low, high),
        lambda value, low, high: torch.logit((value - low) / (high - low)),
    ),
    "softplus": Link(
        lambda raw, low, high: _above(F.softplus(raw), low),
        lambda value, low, high: _inverse_softplus(value - low),
    ),
    "exp": Link(
        lambda raw, low, high: _above(raw.exp(), low),
        lambda value, low, high: torch.log(value - low),
    ),
    "clamp": Link(
        lambda raw, low, high: raw.clamp(low, high),
        lambda value, low, high: value,
    ),
}


class Learned:
    """A quantity of a neuron, a reset or a surrogate: a line of the class, a value of the instance.

    Args:
        default: where it starts. A number; a pair `(low, high)`, a spread from which each element
            draws its own start; the name of another quantity, to start where that one does; for a
            vector, a list of numbers or pairs.
        doc: what it is, and in which unit; for the documentation of the class.
        low, high: bounds, for ever. A start outside them is an error.
        link: how the bounds are kept. `"logit"` (between two), `"softplus"` and `"exp"` (above
            `low`) never reach the edge, and are what is chosen unless said otherwise: logit between
            two bounds, exp above 0, softplus above another `low`. `"clamp"` reaches the edge, and
            has no gradient beyond it.
        learn: train it. What is not learned is stored as its value, and may lie on a bound.
        spread: how a pair is drawn: `"log"` uniformly in the logarithm, or `"uniform"`. Unless
            given, quantities with a lower bound of 0 or more and no upper one are drawn in the
            logarithm. Where a whole layer has one value, it starts in the middle of the pair.
        inverse: the equation multiplies by one over the value, as by a time constant's; that is
            what `round_dynamics` then rounds.
        vector: a list of quantities, set by assignment in `__init__`: `self.c = [0.0, -1.0]`.
        scale: how fast it is learned. What is stored and learned is the number divided by this:
            under Adam it then moves at `scale` times the learning rate.

    On the instance:

    - The constructor takes a number, a pair, or a tensor that broadcasts to the granularity; or a
      `Learned`, which takes the declaration's place, with its own bounds.
    - Reading gives the value, of the granularity's shape: `(1,)` for a layer.
    - Assigning starts it again: `neuron.tau = (2.0, 20.0)`.
    - A learned quantity with bounds or a scale is the parameter `raw_<name>`, any other `<name>`.
    """

    def __init__(
        self,
        default: Any = None,
        doc: str = "",
        *,
        low: float | None = None,
        high: float | None = None,
        link: LinkName | None = None,
        learn: bool = True,
        spread: Literal["log", "uniform"] | None = None,
        inverse: bool = False,
        vector: bool = False,
        scale: float = 1.0,
    ) -> None:
        if low is not None and high is not None and not low < high:
            raise ValueError(f"low, high: expected low < high, got {low} and {high}")
        link = link or _usual_link(low, high)
        if link is not None and link not in LINKS:
            raise unknown("link", link, LINKS)
        if link == "clamp" and low is high is None:
            raise ValueError("link: 'clamp' needs low or high, got neither")
        if link == "logit" and (low is None or high is None):
            raise ValueError(f"link: 'logit' needs low and high, got {low} and {high}")
        if link in ("softplus", "exp") and (low is None or high is not None):
            raise ValueError(f"link: {link!r} needs low and no high, got {low} and {high}")
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self.default, self.doc, self.low, self.high, self.link = default, doc, low, high, link
        self.learn, self.inverse, self.vector, self.scale = learn, inverse, vector, scale
        is_size = low is not None and low >= 0 and high is None
        self.spread = spread or ("log" if is_size else "uniform")
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, module: None, owner: type) -> Learned: ...
    @overload
    def __get__(self, module: nn.Module, owner: type) -> Tensor: ...
    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        own = module._own.get(self.name)
        return (self if own is None else own).value(module, self.name)

    def __set__(self, module: Any, given: Any) -> None:
        module.start(self.name, given)

    def value(self, module: nn.Module, name: str) -> Any:
        """The value that an instance has now."""
        holders: tuple[dict[str, Any], ...] = (
            *(module._parameters, module._buffers, module._modules),
            module.__dict__,  # where replicas and FSDP put views of what they share
        )
        for held in holders:
            if held.get(name) is not None:
                return held[name]
        key = f"raw_{name}"
        raw = next((held[key] for held in holders if held.get(key) is not None), None)
        if raw is None:  # A property, as parametrisations are.
            raw = getattr(module, key, None) if hasattr(type(module), key) else None
        if raw is None:
            raise AttributeError(f"{type(module).__name__} has not started its {name!r} yet")
        return tuple(map(self.linked, raw)) if self.vector else self.linked(raw)

    def as_structure(self) -> tuple[Any, ...]:
        """What the trace of a step depends on."""
        return self.low, self.high, self.link, self.vector, self.scale

    @property
    def is_raw(self) -> bool:
        """Whether the number that is learned is another than the value."""
        return self.link is not None or self.scale != 1

    def linked(self, raw: Any) -> Tensor:
        """The value of the number that is learned."""
        value: Tensor = raw if self.scale == 1 else self.scale * raw
        return value if self.link is None else LINKS[self.link].value(value, self.low, self.high)

    def unlinked(self, value: Tensor) -> Tensor:
        """The number that is learned for a value."""
        raw = value if self.link is None else LINKS[self.link].raw(value, self.low, self.high)
        return raw if self.scale == 1 else raw / self.scale

    def tensor(self, name: str, given: Any, shape: Shape, *, learn: bool) -> Tensor:
        """The numbers to start from, in float64."""
        if isinstance(given, Tensor) and given.is_meta:
            if not torch.empty(0).is_meta:
                raise TypeError(f"{name}: expected numbers, got a tensor on the meta device")
            return torch.zeros(shape, dtype=torch.float64, device="cpu")
        if isinstance(given, tuple):
            start = self._drawn(name, given, shape, learn)
        else:
            start = _number(name, given)
            self._check(name, given, start, learn)
        try:
            return start.expand(shape)
        except RuntimeError:
            raise ValueError(
                f"{name}: expected a number, a pair, or a shape that broadcasts to {shape}, got "
                f"{tuple(start.shape)}"
            ) from None

    def _drawn(self, name: str, pair: tuple[float, ...], shape: Shape, learn: bool) -> Tensor:
        """A start for each element, between the ends of a pair."""
        ends = _number(name, pair)
        if ends.shape != (2,) or not bool(ends[0] <= ends[1]):
            raise ValueError(
                f"{name}: expected a number, a tensor, or (low, high) with low <= high, got {pair}"
            )
        self._check(name, pair, ends, learn)
        low, high = ends.tolist()
        share = torch.full(shape, 0.5) if math.prod(shape) == 1 else torch.rand(shape)
        log = self.spread == "log" and low > 0
        start: Tensor = low * (high / low) ** share.double() if log else low + (high - low) * share
        return start.double()

    def _check(self, name: str, given: Any, numbers: Tensor, learn: bool) -> None:
        """An error unless all numbers are within the bounds."""
        edge = self.reaches_edge(learn)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        outside = (numbers < low) | (numbers > high)
        if not edge:
            outside |= (numbers == low) | (numbers == high)
        if bool((outside | numbers.isnan()).any()):
            other = f"; {name}=Learned({given}, low=..., high=...) has bounds of its own"
            other = other if self.link == "clamp" and self.high is not None else ""
            raise ValueError(f"{name}: expected {self.range(edge=edge)}, got {given}{other}")

    def reaches_edge(self, learn: bool) -> bool:
        """Whether the value may lie on a bound."""
        divides_by_zero = self.inverse and self.low == 0
        return not divides_by_zero and (not learn or self.link in (None, "clamp"))

    def changed(self, **fields: Any) -> Learned:
        """This declaration with other fields, for an instance whose options decide on them."""
        twin = copy.copy(self)
        vars(twin).update(fields)
        return twin

    def argument(self, name: str) -> inspect.Parameter:
        """The constructor's argument."""
        named = isinstance(self.default, str)
        return inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if named else self.default,
            annotation=Number | None if named else Number,
        )

    def range(self, *, edge: bool = True) -> str:
        """The bounds in words."""
        low, high = (None if end is None else f"{end:g}" for end in (self.low, self.high))
        if low and high:
            return f"from {low} to {high}" if edge else f"between {low} and {high}"
        if low:
            return f"at least {low}" if edge else f"above {low}"
        return f"at most {high}" if high else "any number"

    def __repr__(self) -> str:
        return f"Learned({self.default}, {self.range()}, {self.link})"


def _usual_link(low: float | None, high: float | None) -> LinkName | None:
    """The link of a declaration that names none."""
    if low is None:
        return None if high is None else "clamp"
    if high is not None:
        return "logit"
    return "exp" if low == 0 else "softplus"


def _number(name: str, given: Any) -> Tensor:
    """A number or tensor in float64, on the CPU, as checks need values on the meta device too."""
    try:
        if isinstance(given, complex) or (isinstance(given, Tensor) and given.is_complex()):
            raise TypeError
        with torch.device("cpu"):
            return torch.as_tensor(given, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise TypeError(f"{name}: expected a number or a tensor, got {given!r}") from None
