"""A trained network at shorter steps, and what binary emission costs there."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from neurodyn.analysis.activity import aligned
from neurodyn.convert.trained.agreement import Answer, Report, agreement, percent
from neurodyn.convert.trained.conditions import check_convertible, layers_of
from neurodyn.convert.trained.swap import swapped
from neurodyn.convert.trained.unfold import Batch, measured_bound, parts, unfold
from neurodyn.errors import check
from neurodyn.layers import DelayLine, LearnedDelays, Recurrent
from neurodyn.neurons import IF, LIF, PLIF, DecayLIF, Neuron

HEADINGS = (
    "step",
    "spikes before",
    "after",
    "same first spike [%]",
    "same count [%]",
    "same answer [%]",
)
DELAYING = (Recurrent, DelayLine, LearnedDelays)


class FinerLayer(nn.Module):
    """A layer of neurons whose steps are `1 / factor` as long. The share of the membrane that a
    step keeps becomes its `factor`-th root. A current, which lasts, gives each short step its part
    of the charge that it gives a long one; a spike gives all of its charge to the step that it is
    in.

    The last sample of the batch has no input and no spikes: what arrives there is the current that
    comes from biases.

    Args:
        neuron: IF, LIF, PLIF or DecayLIF.
        factor: short steps in a long one.
        first: the input of the network arrives here; it is a current.
    """

    def __init__(self, neuron: Neuron, factor: int, *, first: bool) -> None:
        super().__init__()
        self.neuron, self.first = copy.deepcopy(neuron), first
        if isinstance(neuron, IF):
            self.event, self.current = torch.ones(1), torch.ones(1) / factor
            return
        name, keep, scaled = _memory(neuron)
        kept = keep ** (1 / factor)
        _fix(self.neuron, name, kept if name == "alpha" else 1 / (1 - kept))
        share = (1 - kept) / (1 - keep)
        one = torch.ones_like(share)
        # An equation that scales its input by the leak does so with a current already.
        self.event, self.current = (1 / share, one) if scaled else (one, share)

    def forward(self, x: Tensor) -> Tensor:
        x, constant = x[:, :-1], x[:, -1:]
        event, current = self.event.to(x), self.current.to(x)
        charge = current * x if self.first else event * (x - constant) + current * constant
        spikes: Tensor = self.neuron(charge)
        return torch.cat([spikes, torch.zeros_like(spikes[:, :1])], 1)


class Finer(nn.Module):
    """A trained network at steps `1 / factor` as long: each step of its input is held for `factor`
    of them, and each step of its output is the sum of theirs (biases of the output once).

    Args:
        trained: a network that can be unfolded, without delays and recurrent layers, `(T, B, ...)`
            to `(T, B, K)`; it is copied, in evaluation mode. Its first layer of neurons alone sees
            the input.
        factor: short steps in a long one.
    """

    def __init__(self, trained: nn.Module, factor: int) -> None:
        super().__init__()
        check("factor", factor, 1)
        check_convertible(trained)
        network = copy.deepcopy(trained).eval()
        for name, module in network.named_modules():
            if isinstance(module, DELAYING):
                raise ValueError(
                    f"trained: {name or 'the network'!r}, {type(module).__name__}, has delays in "
                    "steps, which would be shorter too"
                )
        layers = [layer for _, layer in layers_of(network)]
        made = {
            layer: FinerLayer(layer, factor, first=layer is layers[0])
            for layer in layers
            if isinstance(layer, Neuron)
        }
        self.factor, self.network = factor, swapped(network, made)

    def forward(self, x: Tensor) -> Tensor:
        whole = torch.cat([x, torch.zeros_like(x[:, :1])], 1)
        out = self.network(whole.repeat_interleave(self.factor, 0))
        out, constant = out[:, :-1], out[:, -1:]
        split = (len(x), self.factor)
        summed: Tensor = (out - constant).unflatten(0, split).sum(1)
        once: Tensor = constant.unflatten(0, split)[:, 0]
        return summed + once


def compare_steps(
    trained: nn.Module,
    batches: Iterable[Batch],
    factors: Sequence[int] = (1, 2, 4, 8),
    *,
    answer: Answer | None = None,
) -> dict[int, Report]:
    """The single-spike twin beside the trained network with binary emission, at shorter and shorter
    steps (`Finer`). Two levels are reached in one step the less often the shorter it is.

    Args:
        trained: the network.
        batches: as for `compare_unfolded`, without lengths.
        factors: short steps in a long one.
        answer: as for `compare_unfolded`.

    Returns:
        the agreement by factor; `steps_table` shows it.
    """
    batches = list(batches) if isinstance(batches, Iterator) else batches
    found = {}
    for factor in factors:
        finer = Finer(trained, factor)
        twin = unfold(finer, emission="binary", bound=measured_bound(finer, _unpadded(batches)))
        found[factor], _ = agreement(finer, twin, batches, answer)
    return found


def steps_table(reports: dict[int, Report]) -> str:
    """A Markdown table of what `compare_steps` found."""
    rows: list[Sequence[str]] = [HEADINGS]
    for factor, report in reports.items():
        total, per = report.total, max(report.samples, 1)
        shares = (report.first, report.counts, report.classes)
        rows.append(
            (
                "1" if factor == 1 else f"1/{factor}",
                *(f"{n / per:,.1f}" for n in (total.before, total.after)),
                *map(percent, shares),
            )
        )
    return aligned(rows)


def _memory(neuron: Neuron) -> tuple[str, Tensor, bool]:
    """The name of a neuron's leak, the share of the membrane that a step keeps, and whether the
    neuron scales its input by the share that is lost."""
    if isinstance(neuron, DecayLIF):
        return "alpha", neuron.alpha.detach(), True
    assert isinstance(neuron, LIF | PLIF)
    return "tau", 1 - neuron.leak.detach(), neuron.decay_input


def _fix(neuron: Neuron, name: str, value: Tensor) -> None:
    """Give a neuron a value of a quantity, whatever its bounds."""
    for held in (neuron._parameters, neuron._buffers):
        held.pop(name, None)
        held.pop(f"raw_{name}", None)
    neuron.register_buffer(name, value)


def _unpadded(batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        if parts(batch)[2] is not None:
            raise ValueError("batches: expected sequences without padding, got lengths")
        yield batch
