"""A trained network beside its single-spike twin: what both have, and where they agree."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from neurodyn.analysis.activity import aligned
from neurodyn.convert.trained.conditions import LEAKY, check_convertible, layers_of
from neurodyn.convert.trained.synapses import count_synapses
from neurodyn.convert.trained.unfold import Batch, Twin, padding, parts, run, with_emission
from neurodyn.neurons import neurons_of
from neurodyn.neurons.emission import Emission

Answer = Callable[[Tensor], Tensor]
HEADINGS = (
    "layer",
    "neurons",
    "most spikes",
    "copies",
    "that fire",
    "spikes before",
    "after",
    "same first spike [%]",
    "same count [%]",
)


@dataclass
class LayerAgreement:
    """A layer of neurons and its copies.

    Attributes:
        name: of the layer in the trained network.
        neurons: how many it has.
        most: the most copies of one neuron that fire for one sample; with graded emission, the
            most spikes of a neuron.
        copies: how many were made; `fired`: how many of them fired for any sample.
        before, after: spikes of all samples, in the trained network and in the twin.
        pairs: neurons times samples; `first`: in how many the first spike is in the same step, or
            there is none; `counts`: in how many the number of spikes is the same.
    """

    name: str
    neurons: int = 0
    most: int = 0
    copies: int = 0
    fired: int = 0
    before: int = 0
    after: int = 0
    pairs: int = 0
    first: int = 0
    counts: int = 0


@dataclass
class Report:
    """What `compare_unfolded` found; `str` is a table and what follows from it.

    Attributes:
        emission: of the trained network, as it was run.
        samples: how many there were.
        layers: their agreement, layer by layer.
        synapses, synapses_after: connections between inputs, neurons and outputs, before and after;
            `lateral`: edges between copies of the same neuron.
        same_answers: samples (or steps) that both answer the same; `answers`: of how many.
        difference: the largest between an output of both.
        right: how many answers are right, by what gave them, if there were targets.
    """

    emission: Emission
    samples: int = 0
    layers: list[LayerAgreement] = field(default_factory=list)
    synapses: int = 0
    synapses_after: int = 0
    lateral: int = 0
    same_answers: int = 0
    answers: int = 0
    difference: float = 0.0
    right: dict[str, int] = field(default_factory=dict)

    @property
    def neurons(self) -> int:
        """Neurons of the trained network, `n`."""
        return self.total.neurons

    @property
    def copies(self) -> int:
        """Neurons of the twin."""
        return self.total.copies

    @property
    def fired(self) -> int:
        """Neurons of the twin that fired for any sample."""
        return self.total.fired

    @property
    def bound(self) -> int:
        """The neurons that the theorem allows, `N n`, with `N` the most spikes of any neuron."""
        return self.total.most * self.neurons

    @property
    def first(self) -> float:
        """The share of neurons and samples with the same first spike."""
        return self.total.first / max(self.total.pairs, 1)

    @property
    def counts(self) -> float:
        """The share of neurons and samples with the same number of spikes."""
        return self.total.counts / max(self.total.pairs, 1)

    @property
    def classes(self) -> float:
        """The share of samples with the same answer."""
        return self.same_answers / max(self.answers, 1)

    @property
    def exact(self) -> bool:
        """Whether all three agree everywhere."""
        return self.first == self.counts == self.classes == 1

    @property
    def total(self) -> LayerAgreement:
        """All layers as one; `most` is that of any neuron."""
        whole = LayerAgreement("total")
        for layer in self.layers:
            for name, value in vars(layer).items():
                if name == "most":
                    whole.most = max(whole.most, value)
                elif name != "name":
                    setattr(whole, name, getattr(whole, name) + value)
        return whole

    def accuracy(self, what: str) -> float:
        """The share of right answers of `"trained"`, `"reference"` or `"twin"`."""
        return self.right[what] / max(self.answers, 1)

    def __str__(self) -> str:
        rows = [self._row(layer) for layer in (*self.layers, self.total)]
        n, most = self.neurons, self.total.most
        lines = [
            aligned([HEADINGS, *rows]),
            "",
            f"The trained network ran with {self.emission} emission. Spikes are per sample, over "
            f"{self.samples:,} samples.",
            f"Neurons: {n:,} before, {self.copies:,} after, of which {self.fired:,} fire. The "
            f"theorem allows N n = {most} x {n:,} = {self.bound:,}.",
            f"Synapses: {self.synapses:,} before, {self.synapses_after:,} after"
            + (f", and {self.lateral:,} edges between copies." if self.lateral else "."),
            f"Agreement: {percent(self.first)} % of first spikes, {percent(self.counts)} % of "
            f"spike counts, {percent(self.classes)} % of answers. Outputs differ by at most "
            f"{self.difference:.3g}.",
        ]
        if self.right:
            of = {"trained": "as trained", "reference": self.emission, "twin": "twin"}
            shown = (f"{of[name]} {100 * self.accuracy(name):.2f} %" for name in self.right)
            lines.append(f"Accuracy: {', '.join(shown)}.")
        if "trained" in self.right:
            change = 100 * (self.accuracy("reference") - self.accuracy("trained"))
            lines.append(f"Graded emission by itself changes it by {change:+.2f} points.")
        return "\n".join(lines)

    def _row(self, layer: LayerAgreement) -> list[str]:
        per, pairs = max(self.samples, 1), max(layer.pairs, 1)
        return [
            layer.name or "(model)",
            *(f"{n:,}" for n in (layer.neurons, layer.most, layer.copies, layer.fired)),
            *(f"{n / per:,.1f}" for n in (layer.before, layer.after)),
            *(percent(n / pairs) for n in (layer.first, layer.counts)),
        ]


def compare_unfolded(
    trained: nn.Module,
    twin: Twin,
    batches: Iterable[Batch],
    *,
    answer: Answer | None = None,
) -> Report:
    """Run a trained network and its twin on the same inputs, and compare them.

    Args:
        trained: the network that was unfolded. It runs in evaluation mode, with the emission that
            the twin was made for, as the plain loop; it is not changed.
        twin: what `unfold` made of it.
        batches: `x`, `(x, targets)` or `(x, targets, lengths)`, with `x` of `(T, B, ...)`; lengths
            as for `neurodyn.layers.padded`.
        answer: from outputs to answers, classes `(B,)` or `(T, B)`; by default the class with the
            largest mean over time.
    """
    batches = list(batches) if isinstance(batches, Iterator) else batches
    report, fired = agreement(trained, twin, batches, answer)
    x, *_ = parts(next(iter(batches)))
    _count(report, trained, twin, x, fired)
    return report


def agreement(
    trained: nn.Module, twin: Twin, batches: Iterable[Batch], answer: Answer | None = None
) -> tuple[Report, dict[str, Tensor]]:
    """The report without its numbers of copies and synapses; and of each neuron, how many copies
    fired for any sample, by the name of the layer."""
    check_convertible(trained)
    if [name for name, _ in layers_of(trained)] != list(twin.copies):
        raise ValueError(
            f"twin: expected the twin of this network, with copies of its neurons, got copies of "
            f"{', '.join(twin.copies)}"
        )
    answer = answer or _largest_mean
    reference, given = with_emission(trained, twin.emission), _as_trained(trained, twin.emission)
    report, layers = Report(twin.emission), dict[str, LayerAgreement]()
    fired: dict[str, Tensor] = {}
    for batch in batches:
        x, targets, lengths = parts(batch)
        valid = None if lengths is None else torch.arange(len(x))[:, None] < lengths.cpu()
        with padding(x, lengths):
            (expected, before), (found, after) = run(reference, x), run(twin, x)
            answers = {"reference": answer(expected), "twin": answer(found)}
            if targets is not None and given is not None:
                answers = {"trained": answer(run(given, x)[0]), **answers}
        report.samples += x.shape[1]
        report.difference = max(report.difference, float((found - expected).abs().max()))
        report.same_answers += int((answers["reference"] == answers["twin"]).sum())
        report.answers += answers["twin"].numel()
        for name, spikes in before.items():
            layer = layers.setdefault(name, LayerAgreement(name))
            _compare(layer, spikes.cpu(), after[name].cpu(), valid)
            most = after[name].sum(0).amax(0)
            fired[name] = torch.maximum(fired[name], most) if name in fired else most
        if targets is not None:
            for name, values in answers.items():
                right = int((values == targets.to(values.device)).sum())
                report.right[name] = report.right.get(name, 0) + right
    if not report.samples:
        raise ValueError("batches: expected at least one batch, got none")
    report.layers = list(layers.values())
    return report, fired


def _as_trained(trained: nn.Module, emission: Emission) -> nn.Module | None:
    """The network with the emission that it was trained with, if that is another than this one."""
    own = {neuron.emission for _, neuron in neurons_of(trained)}
    return None if own == {emission} else copy.deepcopy(trained).eval()


def _compare(layer: LayerAgreement, before: Tensor, after: Tensor, valid: Tensor | None) -> None:
    """Add the spikes `(T, B, *features)` of a batch to a layer's counts, without those behind the
    ends of shorter samples."""
    layer.most = max(layer.most, int(after.sum(0).max()))
    spikes = [given.flatten(2) for given in (before, after)]
    if valid is not None:
        spikes = [given * valid[..., None] for given in spikes]
    (first, total), (twin_first, twin_total) = ((_first(s), s.sum(0)) for s in spikes)
    layer.neurons = first.shape[1]
    layer.pairs += first.numel()
    layer.first += int((first == twin_first).sum())
    layer.counts += int((total == twin_total).sum())
    layer.before += int(total.sum())
    layer.after += int(twin_total.sum())


def _first(spikes: Tensor) -> Tensor:
    """The step of the first spike of `(T, B, n)`; -1 where there is none."""
    fires = spikes > 0
    return torch.where(fires.any(0), fires.int().argmax(0), -1)


def _count(
    report: Report, trained: nn.Module, twin: Twin, x: Tensor, fired: dict[str, Tensor]
) -> None:
    """Fill in the numbers of copies and of synapses."""
    copies = {name: layer.bound.expand(fired[name].shape) for name, layer in twin.copies.items()}
    for layer in report.layers:
        made = copies[layer.name]
        layer.copies, layer.fired = int(made.sum()), int(fired[layer.name].sum())
        if isinstance(twin.copies[layer.name].neuron, LEAKY):
            report.lateral += int((made * (made - 1) // 2).sum())
    report.synapses = count_synapses(trained, x)
    report.synapses_after = count_synapses(trained, x, copies)


def _largest_mean(outputs: Tensor) -> Tensor:
    return outputs.mean(0).argmax(-1) if outputs.ndim > 2 else outputs.argmax(-1)


def percent(share: float) -> str:
    """A share in percent; 100.00 only where it is all."""
    return "100.00" if share == 1 else f"{min(100 * share, 99.99):.2f}"
