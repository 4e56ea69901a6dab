"""What one update of a neuron costs: its arithmetic, and its words of memory."""

from __future__ import annotations

from torch import Tensor, nn

from neurodyn.layers import DelayLine, GatedCell
from neurodyn.neurons import Neuron, Stateful
from neurodyn.step.functions import arithmetic
from neurodyn.step.graph import UnsupportedStepError
from neurodyn.step.program import program_of


def operations(layer: nn.Module) -> tuple[int, int]:
    """Multiplications and additions of one update of a neuron, without synapses.

    A layer may declare those of its cheapest algebraic form (constants folded, an added constant in
    the layer's bias). Otherwise those of a neuron are counted in its traced step, and a layer
    around one has the sum over its parts. Comparisons, transcendental functions and what follows
    from parameters alone are not counted.
    """
    declared: tuple[int, int] | None = getattr(layer, "operations", None)
    if declared is not None:
        return declared
    if isinstance(layer, Neuron):
        return _traced(layer)
    parts = [operations(part) for part in layer.children() if isinstance(part, Stateful)]
    return sum(muls for muls, _ in parts), sum(adds for _, adds in parts)


def words(layer: nn.Module) -> int:
    """Words of memory that one update of a neuron reads and writes, without synapses.

    Each state is read and written. A delay line writes one word, and reads all of its words and
    their weights. Parameters that a layer or a channel shares stay in registers; those of one
    neuron are read. The last spikes of a gated cell are bits, and not counted.
    """
    if isinstance(layer, Neuron):
        learned = [(n, p) for n, p in layer.named_parameters() if p.requires_grad]
        own = [n for n, p in learned if not n.startswith("spike.") and not n.endswith("_0")]
        return 2 * len(layer.states) + (len(own) if layer.per == "neuron" else 0)
    if isinstance(layer, GatedCell):
        return 4
    if isinstance(layer, DelayLine):
        return 2 * layer.order + 1
    return sum(words(part) for part in layer.children() if isinstance(part, Stateful))


class _Charge(nn.Module):
    """A neuron's dynamics without spike and reset, as a cell for the tracer."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.neuron = neuron

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        after = self.neuron.charge(x, *state)
        return after[0], *after


def _traced(neuron: Neuron) -> tuple[int, int]:
    program, _ = program_of(_Charge(neuron), 1, len(neuron.states), neuron.threshold.dtype)
    if isinstance(program, UnsupportedStepError):
        raise ValueError(
            f"operations: those of {type(neuron).__name__} cannot be counted ({program}); declare "
            "them as `operations = (multiplications, additions)` in the class"
        )
    functions, _ = program.functions(None)
    return arithmetic(functions.step)
