"""The activity of a network, by layer: its sums per sample, their energy, and a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PJ_ADD, PJ_MUL, PJ_MAC = 0.9, 3.7, 4.6
PJ_WORD = 5.0
"""Picojoules to access 32 bits of an 8 KB memory at 45 nm: half of Horowitz's figure for 64."""
WORDS_PER_SYNAPSE = 3
HEADINGS = ("layer", "spikes", "rate", "SOPs", "MACs", "updates", "energy [nJ]", "share [%]")


@dataclass
class LayerActivity:
    """One layer's totals over all samples seen.

    Attributes:
        macs: multiply-accumulates of the dense layer, without those on padding.
        sops: synaptic operations, one per incoming spike and weight that it went through.
        analog: whether it saw numbers other than counts of spikes, and so multiplies.
        updates: neuron updates (neurons x timesteps).
        spikes: of these updates, several in one step counted each.
        operations: multiplications and additions of one update.
        words: words of memory that one update reads and writes.
    """

    macs: float = 0.0
    sops: float = 0.0
    analog: bool = False
    updates: float = 0.0
    spikes: float = 0.0
    operations: tuple[int, int] = (0, 0)
    words: int = 0

    @property
    def energy(self) -> float:
        """Picojoules of arithmetic, over all samples."""
        synapses = self.macs * PJ_MAC if self.analog else self.sops * PJ_ADD
        multiplications, additions = self.operations
        return synapses + self.updates * (multiplications * PJ_MUL + additions * PJ_ADD)

    @property
    def accesses(self) -> float:
        """Words read from memory or written to it, over all samples."""
        synapses = self.macs if self.analog else self.sops
        return WORDS_PER_SYNAPSE * synapses + self.updates * self.words


@dataclass
class Activity:
    """Activity of a network by layer, and its sums per sample.

    Attributes:
        samples: the number of samples seen.
        layers: activity by the layer's name.
        parameters: the number of learned parameters.
        uncounted: what ran and is in none of the sums: names of modules with parameters that the
            meter does not know, and `"module: function"` for products outside modules.
    """

    samples: int = 0
    layers: dict[str, LayerActivity] = field(default_factory=dict)
    parameters: int = 0
    uncounted: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Spikes per neuron and timestep."""
        updates = sum(layer.updates for layer in self.layers.values())
        return sum(layer.spikes for layer in self.layers.values()) / max(updates, 1.0)

    @property
    def spikes(self) -> float:
        """Spikes per sample."""
        return self._mean(lambda layer: layer.spikes)

    @property
    def sops(self) -> float:
        """Synaptic operations per sample; layers that multiply have none."""
        return self._mean(lambda layer: 0.0 if layer.analog else layer.sops)

    @property
    def macs(self) -> float:
        """Dense multiply-accumulates per sample, over all layers, without those on padding."""
        return self._mean(lambda layer: layer.macs)

    @property
    def updates(self) -> float:
        """Neuron updates per sample."""
        return self._mean(lambda layer: layer.updates)

    @property
    def energy(self) -> float:
        """Picojoules of arithmetic per sample."""
        return self._mean(lambda layer: layer.energy)

    @property
    def accesses(self) -> float:
        """Words read from memory or written to it, per sample."""
        return self._mean(lambda layer: layer.accesses)

    def memory_energy(self, pj_word: float = PJ_WORD) -> float:
        """Picojoules of memory accesses per sample.

        Args:
            pj_word: picojoules per word. A memory of 1 MB on the chip takes ten times the default.
        """
        if not pj_word >= 0:
            raise ValueError(f"pj_word: expected picojoules, 0 or more, got {pj_word}")
        return self.accesses * pj_word

    def table(self) -> str:
        """A Markdown table per sample: a row per layer, and the total.

        `MACs` are the products of the dense layer. Layers that carry them out, because their input
        is analog, have no SOPs.
        """
        rows = [self._row(name or "(model)", {name: self.layers[name]}) for name in self.layers]
        table = aligned([HEADINGS, *rows, self._row("total", self.layers)])
        if not self.uncounted:
            return table
        return f"{table}\n\nNot counted: {', '.join(self.uncounted)}."

    def _row(self, name: str, layers: dict[str, LayerActivity]) -> list[str]:
        part = Activity(self.samples, layers)
        share = 100 * part.energy / self.energy if self.energy else 0.0
        neurons = part.updates > 0
        return [
            name,
            f"{part.spikes:,.0f}" if neurons else "",
            f"{part.rate:.3f}" if neurons else "",
            f"{part.sops:,.0f}" if part.sops else "",
            f"{part.macs:,.0f}" if part.macs else "",
            f"{part.updates:,.0f}" if neurons else "",
            f"{part.energy / 1000:,.1f}",
            f"{share:.1f}",
        ]

    def _mean(self, value: Callable[[LayerActivity], float]) -> float:
        return float(sum(map(value, self.layers.values()))) / max(self.samples, 1)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is the heading: names left, numbers right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
