"""The cheaper arithmetic of derivatives."""

import math

import torch
from torch import nn

from neurodyn.neurons import MultiTimescale
from neurodyn.step.graph import Builder, reachable
from neurodyn.step.program import program_of
from neurodyn.step.relaxed import Factors, parameter_only

OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "exp": math.exp,
    "gt": lambda a, b: a > b,
    "where": lambda c, a, b: a if c else b,
}


def value(node, given):
    """What a graph of numbers gives."""
    if node.op == "const":
        return node.value
    if node.op == "leaf":
        return given[node.name]
    return OPERATIONS[node.op](*(value(arg, given) for arg in node.args))


def cut(build):
    """`(varying, factor)` of what `build` makes of a builder, two sequences and two parameters."""
    builder = Builder()
    leaves = [builder.leaf(name) for name in "xypq"]
    node = build(builder.make, *leaves)
    constant = parameter_only(reachable([node]), leaves[2:])
    varying, factor = Factors(builder, constant, frozenset()).cut(node)
    for given in ({"x": 2.0, "y": -3.0, "p": 0.7, "q": 5.0}, {"x": 1, "y": 4, "p": 3.0, "q": -1.0}):
        assert math.isclose(value(node, given), value(varying, given) * value(factor, given))
    return varying, factor, leaves


def test_products_are_cut_through_signs_and_conditions():
    def build(make, x, y, p, q):
        tail = make("mul", make("mul", y, q), make("exp", p))
        return make("neg", make("where", make("gt", p, q), tail, make("mul", y, q)))

    varying, factor, (_, y, p, q) = cut(build)
    assert varying is y
    assert {p, q} <= set(reachable([factor]))


def test_both_sides_of_a_product_are_cut():
    varying, factor, (x, y, p, q) = cut(
        lambda make, x, y, p, q: make("mul", make("mul", x, p), make("mul", q, y))
    )
    assert set(reachable([varying])) == {varying, x, y}
    assert set(reachable([factor])) == {factor, p, q}


def test_sums_are_cut_only_if_they_share_what_varies():
    varying, *_ = cut(lambda make, x, y, p, q: make("add", make("mul", x, p), make("mul", x, q)))
    assert varying.name == "x"
    varying, factor, _ = cut(
        lambda make, x, y, p, q: make("add", make("mul", x, p), make("mul", y, q))
    )
    assert varying.op == "add"
    assert factor.value == 1.0


def test_a_shared_node_is_not_taken_apart():
    builder = Builder()
    x, p = builder.leaf("x"), builder.leaf("p")
    node = builder.make("mul", x, p)
    assert Factors(builder, frozenset({p}), frozenset({node})).cut(node)[0] is node


def test_a_node_is_cut_once_however_many_paths_lead_to_it():
    class Counting(Builder):
        made = 0

        def make(self, op, *args):
            self.made += 1
            return super().make(op, *args)

    builder = Counting()
    node, p = builder.leaf("x"), builder.leaf("p")
    for _ in range(12):  # 2^12 paths
        node = builder.make("add", builder.make("exp", node), builder.make("mul", node, node))
        node = builder.make("mul", node, p)
    cutter, builder.made = Factors(builder, frozenset({p}), frozenset()), 0
    varying, factor = cutter.cut(node)
    assert factor is p
    assert p in reachable([varying])
    assert builder.made < 100


def test_a_long_chain_is_cut():
    builder = Builder()
    node, p = builder.leaf("x"), builder.leaf("p")
    for _ in range(3000):  # Deeper than Python's recursion.
        node = builder.make("neg", builder.make("mul", p, node))
    varying, factor = Factors(builder, frozenset({p}), frozenset()).cut(node)
    assert varying.name == "x"
    assert p in reachable([factor])


class Divided(nn.Module):
    """A step whose derivative divides by a parameter."""

    def __init__(self):
        super().__init__()
        self.tau = nn.Parameter(torch.tensor(3.0))

    def step(self, x, u):
        u = torch.sin(u / self.tau + x)
        return u, u


def test_a_derivative_divides_by_no_parameter_and_the_step_still_does():
    program, _ = program_of(Divided(), 1, 1, torch.float32)
    trace = program.trace
    gradients = [g for g in trace.vjp if g is not None]
    step = set(reachable(trace.results))
    own = [node for node in reachable(gradients) if node not in step and node.op == "div"]
    assert any(node.op == "div" for node in step)
    assert all(node.args[0].op == "const" for node in own)


def test_pull_does_not_multiply_by_what_the_sum_can_be_multiplied_by():
    program, _ = program_of(MultiTimescale().cell(), 1, 3, torch.float32)
    functions, _ = program.functions((True,) * len(program.trace.vjp))
    names = {p.name.partition("_")[2] for p in functions.factors}
    assert {"raw_tau_mem", "raw_tau_syn", "raw_decay"} <= names
    assert not any(node.op == "sigmoid" for node in functions.pull.arguments)
