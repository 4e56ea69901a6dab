"""PyTorch's operations in the graph's vocabulary, one small rule per operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neurodyn.step.graph import Builder, Kind, Node

Rule = Callable[..., Node]
OF_TRUTHS = {"add": "or", "mul": "and", "maximum": "or", "minimum": "and"}
"""Arithmetic on truth values, as logic."""


class Aten:
    """Rules by the name of the ATen operation, without overload and in-place underscore.

    A rule gets nodes and numbers in the operation's order and returns a node. Numbers become
    constants of the kind that the operation computes in. That follows PyTorch's type promotion for
    tensors of one dtype: bool < int < real; true division and functions are real.
    """

    def __init__(self, builder: Builder) -> None:
        self.b = builder
        self.rules: dict[str, Rule] = {}
        for name in ("add", "sub", "rsub"):
            self.rules[name] = self._sum(name)
        for op in ("mul", "minimum", "maximum"):
            self.rules[op] = self._promoted(op)
        for op in ("lt", "le", "gt", "ge", "eq", "ne"):
            self.rules[op] = self._promoted(op)
        for op in ("neg", "abs", "sign"):
            self.rules[op] = lambda a, op=op: self.b.make(op, a)
        for op in ("floor", "ceil", "trunc", "round"):
            self.rules[op] = self._whole(op)
        for op in (
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "rsqrt",
            "sigmoid",
            "tanh",
            "sin",
            "cos",
            "erf",
        ):
            self.rules[op] = lambda a, op=op: self.b.make(op, self.real(a))
        for name in (
            "logical_and",
            "logical_or",
            "logical_not",
            "bitwise_and",
            "bitwise_or",
            "bitwise_not",
        ):
            self.rules[name] = self._logic(name)
        for name in dir(self):
            if name.startswith("op_"):
                self.rules[name[3:]] = getattr(self, name)
        self.rules["sgn"] = self.rules["sign"]

    def real(self, value: Any) -> Node:
        return (
            self.b.cast(value, "real") if isinstance(value, Node) else self.b.const(value, "real")
        )

    def truth(self, value: Any) -> Node:
        return (
            self.b.cast(value, "bool") if isinstance(value, Node) else self.b.const(value, "bool")
        )

    def promote(self, *values: Any) -> tuple[Node, ...]:
        """The values as nodes of their common kind."""
        order: list[Kind] = ["bool", "int", "real"]
        kind = order[max(order.index(_kind(value)) for value in values)]
        return tuple(
            self.b.cast(v, kind) if isinstance(v, Node) else self.b.const(v, kind) for v in values
        )

    def _promoted(self, op: str) -> Rule:
        def rule(a: Any, b: Any) -> Node:
            a, b = self.promote(a, b)
            return self.b.make(OF_TRUTHS.get(op, op) if a.kind == "bool" else op, a, b)

        return rule

    def _sum(self, name: str) -> Rule:
        combine = self._promoted("add" if name == "add" else "sub")

        def rule(a: Any, b: Any, alpha: float = 1) -> Node:
            if name == "rsub":
                a, b = b, a
            if alpha != 1:
                b = self.rules["mul"](b, alpha)
            return combine(a, b)

        return rule

    def _logic(self, name: str) -> Rule:
        kind, op = name.split("_")

        def rule(*args: Any) -> Node:
            if kind == "bitwise" and any(_kind(arg) != "bool" for arg in args):
                raise NotImplementedError("bits of integers")
            return self.b.make(op, *(self.truth(arg) for arg in args))

        return rule

    def _whole(self, op: str) -> Rule:
        def rule(a: Node, decimals: int = 0) -> Node:
            if decimals:
                raise NotImplementedError("round to decimals")
            return self.b.make(op, a) if a.kind == "real" else a

        return rule

    def op_div(self, a: Any, b: Any, rounding_mode: str | None = None) -> Node:
        if rounding_mode == "floor" and "real" in (_kind(a), _kind(b)):
            # PyTorch floors the exact quotient: 1 / 0.1 is 9 there and 10 here.
            raise NotImplementedError("rounding_mode='floor'; write torch.floor(a / b)")
        quotient = self.b.make("div", self.real(a), self.real(b))
        return quotient if rounding_mode is None else self.b.make(rounding_mode, quotient)

    def op_reciprocal(self, a: Node) -> Node:
        return self.op_div(1.0, a)

    def op_square(self, a: Node) -> Node:
        return self.b.make("mul", a, a)

    def op_pow(self, a: Any, b: Any) -> Node:
        if not isinstance(b, Node):
            if float(b) == int(b) and 0 <= b <= 8:
                return self._power(self.real(a), int(b))
            special = {0.5: "sqrt", -0.5: "rsqrt"}.get(float(b))
            if special:
                return self.b.make(special, self.real(a))
            if b == -1:
                return self.op_reciprocal(a)
        return self.b.make("pow", self.real(a), self.real(b))

    def _power(self, a: Node, n: int) -> Node:
        if n == 0:
            return self.real(1.0)
        half = self._power(a, n // 2) if n > 1 else None
        square = self.b.make("mul", half, half) if half else None
        if square is None:
            return a
        return self.b.make("mul", square, a) if n % 2 else square

    def op_where(self, condition: Node, a: Any, b: Any) -> Node:
        return self.b.make("where", self.truth(condition), *self.promote(a, b))

    def op_masked_fill(self, a: Node, mask: Node, value: Any) -> Node:
        return self.op_where(mask, value, a)

    def op_clamp(self, a: Node, min: Any = None, max: Any = None) -> Node:
        if min is not None:
            a = self._bounded(a, min, "maximum", "lt")
        if max is not None:
            a = self._bounded(a, max, "minimum", "gt")
        return a

    def _bounded(self, a: Node, bound: Any, op: str, beyond: str) -> Node:
        x, limit = self.promote(a, bound)
        if isinstance(bound, Node):
            return self.b.make(op, x, limit)
        # The bound is not NaN, so one comparison is enough: if x is NaN, it is false and x stays.
        return self.b.make("where", self.b.make(beyond, x, limit), limit, x)

    op_hardtanh = op_clamp

    def op_clamp_min(self, a: Node, min: Any) -> Node:
        return self.op_clamp(a, min)

    def op_clamp_max(self, a: Node, max: Any) -> Node:
        return self.op_clamp(a, None, max)

    def op_relu(self, a: Node) -> Node:
        return self.op_clamp(a, 0.0)

    def op_threshold_backward(self, grad: Node, a: Node, threshold: float) -> Node:
        return self.op_where(self.rules["le"](a, threshold), 0.0, grad)

    def op_hardtanh_backward(self, grad: Node, a: Node, low: float, high: float) -> Node:
        outside = self.b.make("or", self.rules["le"](a, low), self.rules["ge"](a, high))
        return self.op_where(outside, 0.0, grad)

    def op_leaky_relu(self, a: Node, slope: float = 0.01) -> Node:
        return self.op_where(self.rules["gt"](a, 0.0), a, self.rules["mul"](a, slope))

    def op_leaky_relu_backward(self, grad: Node, a: Node, slope: float, _: bool) -> Node:
        return self.op_where(self.rules["gt"](a, 0.0), grad, self.rules["mul"](grad, slope))

    def op_sigmoid_backward(self, grad: Node, y: Node) -> Node:
        slope = self.b.make("mul", y, self.rules["rsub"](y, 1.0))
        return self.b.make("mul", grad, slope)

    def op_tanh_backward(self, grad: Node, y: Node) -> Node:
        return self.b.make("mul", grad, self.rules["rsub"](self.b.make("mul", y, y), 1.0))

    def op_silu(self, a: Node) -> Node:
        return self.b.make("mul", a, self.b.make("sigmoid", a))

    def op_silu_backward(self, grad: Node, a: Node) -> Node:
        p = self.b.make("sigmoid", a)
        inner = self.rules["add"](self.b.make("mul", a, self.rules["rsub"](p, 1.0)), 1.0)
        return self.b.make("mul", grad, self.b.make("mul", p, inner))

    def op_softplus(self, a: Node, beta: float = 1.0, threshold: float = 20.0) -> Node:
        z = self.rules["mul"](a, float(beta))
        # log(1 + exp z) = max(z, 0) + log1p(exp(-|z|)), which cannot overflow.
        tail = self.b.make("log1p", self.b.make("exp", self.b.make("neg", self.b.make("abs", z))))
        smooth = self.b.make("add", self.op_clamp(z, 0.0), tail)
        smooth = self.op_div(smooth, float(beta))
        return self.op_where(self.rules["gt"](z, float(threshold)), a, smooth)

    def op_softplus_backward(self, grad: Node, a: Node, beta: float, threshold: float) -> Node:
        z = self.rules["mul"](a, float(beta))
        slope = self.b.make("mul", grad, self.b.make("sigmoid", z))
        return self.op_where(self.rules["gt"](z, float(threshold)), grad, slope)

    def op_gelu(self, a: Node, approximate: str = "none") -> Node:
        if approximate != "none":
            raise NotImplementedError(f"gelu with approximate={approximate!r}")
        cdf = self.b.make("erf", self.rules["mul"](a, math.sqrt(0.5)))
        return self.rules["mul"](self.b.make("mul", a, self.rules["add"](cdf, 1.0)), 0.5)

    def op_gelu_backward(self, grad: Node, a: Node, approximate: str = "none") -> Node:
        cdf = self.b.make("erf", self.rules["mul"](a, math.sqrt(0.5)))
        cdf = self.rules["mul"](self.rules["add"](cdf, 1.0), 0.5)
        bell = self.b.make("exp", self.rules["mul"](self.b.make("mul", a, a), -0.5))
        density = self.rules["mul"](bell, 1 / math.sqrt(2 * math.pi))
        slope = self.b.make("add", cdf, self.b.make("mul", a, density))
        return self.b.make("mul", grad, slope)

    def op_elu(self, a: Node, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Node:
        curve = self.rules["expm1"](self.rules["mul"](a, input_scale))
        low = self.rules["mul"](curve, alpha * scale)
        return self.op_where(self.rules["gt"](a, 0.0), self.rules["mul"](a, scale), low)

    def op_celu(self, a: Node, alpha: float = 1) -> Node:
        return self.op_elu(a, alpha, 1, 1 / alpha)

    def op_elu_backward(
        self, grad: Node, alpha: float, scale: float, input_scale: float, is_y: bool, a: Node
    ) -> Node:
        if is_y:
            raise NotImplementedError("elu in place")
        curve = self.rules["exp"](self.rules["mul"](a, input_scale))
        slope = self.rules["mul"](curve, alpha * scale * input_scale)
        slope = self.op_where(self.rules["gt"](a, 0.0), scale, slope)
        return self.rules["mul"](grad, slope)

    def op_hardsigmoid(self, a: Node) -> Node:
        return self.op_div(self.op_clamp(self.rules["add"](a, 3.0), 0.0, 6.0), 6.0)

    def op_hardsigmoid_backward(self, grad: Node, a: Node) -> Node:
        inside = self.b.make("and", self.rules["gt"](a, -3.0), self.rules["lt"](a, 3.0))
        return self.op_where(inside, self.rules["mul"](grad, 1 / 6), 0.0)

    def op_log_sigmoid_forward(self, a: Node) -> Node:
        return self.b.make("neg", self.op_softplus(self.b.make("neg", a), threshold=math.inf))

    def op_log_sigmoid_backward(self, grad: Node, a: Node, _: Any) -> Node:
        return self.b.make("mul", grad, self.b.make("sigmoid", self.b.make("neg", a)))

    def op_exp2(self, a: Any) -> Node:
        return self.rules["exp"](self.rules["mul"](self.real(a), math.log(2)))

    def op_log2(self, a: Any) -> Node:
        return self.rules["mul"](self.rules["log"](a), 1 / math.log(2))

    def op_log10(self, a: Any) -> Node:
        return self.rules["mul"](self.rules["log"](a), 1 / math.log(10))

    def op_atan(self, a: Any) -> Node:
        # atan(a) = pi / 2 - atan(1 / a), and then three times
        # atan(t) = 2 atan(t / (1 + sqrt(1 + t^2))): t ends below tan(pi / 32), with a short series.
        mul, add, real = self.rules["mul"], self.rules["add"], self.real(a)
        size = self.b.make("abs", real)
        steep = self.rules["gt"](size, 1.0)
        t = self.op_where(steep, self.op_reciprocal(size), size)
        for _ in range(3):
            t = self.op_div(t, add(self.rules["sqrt"](add(mul(t, t), 1.0)), 1.0))
        square, series = mul(t, t), self.real(1 / 13)
        for n in (11, 9, 7, 5, 3, 1):
            series = self.rules["rsub"](mul(series, square), 1 / n)
        angle = mul(mul(series, t), 8.0)
        angle = self.op_where(steep, self.rules["rsub"](angle, math.pi / 2), angle)
        return self.op_where(self.rules["lt"](real, 0.0), self.b.make("neg", angle), angle)

    def op_isnan(self, a: Node) -> Node:
        return self.b.make("ne", a, a)

    def op_isinf(self, a: Node) -> Node:
        return self.rules["eq"](self.b.make("abs", self.real(a)), math.inf)

    def op_lerp(self, a: Any, b: Any, weight: Any) -> Node:
        step = self.rules["mul"](self.rules["sub"](b, a), weight)
        return self.rules["add"](a, step)

    def op_addcmul(self, a: Any, b: Any, c: Any, value: float = 1) -> Node:
        return self.rules["add"](a, self.rules["mul"](b, c), alpha=value)

    def op_addcdiv(self, a: Any, b: Any, c: Any, value: float = 1) -> Node:
        return self.rules["add"](a, self.op_div(b, c), alpha=value)


def _kind(value: Any) -> Kind:
    if isinstance(value, Node):
        return value.kind
    return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "real"
