"""Studies: questions about neurons, each answered by comparing contenders on one recipe.

A study is a `Study` in `STUDIES`. Code that only some studies need lies in a module beside this
one. It is imported when a study calls it, so that `neurodyn study --help` needs no PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodyn.errors import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Study:
    """A question, and the comparison that answers it.

    Args:
        name: its name on the command line.
        question: in one sentence.
        contenders: as `neurodyn compare --neurons` takes them, or a function that makes them from
            the folder of a finished run (`--source`).
        conclusion: makes a further table and a picture from a folder of finished runs.
    """

    name: str
    question: str
    contenders: Sequence[str] | Callable[[Path], list[str]]
    conclusion: Callable[[Path], tuple[str, Figure]] | None = None

    def contenders_from(self, source: Path | None = None) -> list[str]:
        """The contenders.

        Args:
            source: the folder of a finished run, for a study that starts from one.
        """
        if callable(self.contenders):
            if source is None:
                raise ValueError(
                    f"source: the study {self.name!r} needs the folder of a finished LNM run, "
                    "such as runs/digits/lnm/seed-0; got none"
                )
            return self.contenders(source)
        if source is not None:
            raise ValueError(f"source: the study {self.name!r} takes none, got {source}")
        return list(self.contenders)

    def conclude(self, folder: Path) -> str | None:
        """Write the study's own table and picture into a run folder; return the table, if any."""
        if self.conclusion is None:
            return None
        from neurodyn.comparison.tables import write_study

        return write_study(folder, *self.conclusion(folder))


def find(name: str) -> Study:
    """A study by its name."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]


def late(path: str, *options: Any) -> Callable[[Path], Any]:
    """A function `module.name` of this package, whose module is imported at the first call."""
    module, name = path.split(".")

    def call(folder: Path) -> Any:
        return getattr(importlib.import_module(f"studies.{module}"), name)(folder, *options)

    return call


SPREAD = "lnm:per=neuron:start=spread:reset=none"
POWERS = {
    "planar:degree=2": ["planar", "modal:modes=2"],
    "planar:degree=3": ["planar", "modal:modes=2"],
    "planar:degree=2:coupling=full": ["planar", "modal:modes=2"],
    "planar:degree=3:coupling=full": ["planar", "modal:modes=4"],
    f"{SPREAD}:degree=3": [f"{SPREAD}:degree=1", "modal:modes=2:oscillate=false"],
}
"""Neurons with powers of their states. Beside each, the same neuron without them, and a linear one
with at least as many parameters."""


def each_tested(contenders: Mapping[str, str], speakers: Sequence[str], *options: str) -> list[str]:
    """Contenders that are tested on each speaker in turn, under the name `contender/speaker`.

    Args:
        contenders: as `Contender` reads them, by the name of their rows.
        speakers: those who are tested.
        options: added to all.
    """
    return [
        ":".join([f"{name}/{speaker}@{text}", f"data.test_speaker={speaker}", *options])
        for name, text in contenders.items()
        for speaker in speakers
    ]


SPEAKERS = ("jackson", "nicolas", "yweweler", "theo")
"""Those of the spoken digits. The recipe's options were chosen without the last."""

STUDIES = {
    study.name: study
    for study in (
        Study(
            "degree",
            "Which powers of the membrane are worth learning, at how many timesteps?",
            [f"lnm:degree={d}:model.timesteps={T}" for T in (1, 2, 4, 8) for d in range(1, 6)],
            late("sweep.conclude", "degree", "model.timesteps"),
        ),
        Study(
            "degree-long",
            "Which powers are worth learning over longer sequences of pixels?",
            [f"lnm:degree={d}:data.pool={p}" for p in (2, 1) for d in range(1, 6)],
            late("sweep.conclude", "degree", "data.pool"),
        ),
        Study(
            "clip",
            "Does the polynomial need its clip, and does a smooth one do better?",
            ["lnm:clip=hard", "lnm:clip=smooth", "lnm:clip=none"],
        ),
        Study(
            "granularity",
            "Is one polynomial per layer enough, or does each channel or neuron need its own?",
            ["lnm:per=layer", "lnm:per=channel", "lnm:per=neuron"],
        ),
        Study(
            "window",
            "Which surrogate window trains best: fixed, learned, or derived from the dynamics?",
            [
                "triangle@lnm:surrogate=Triangle",
                "triangle-learned@lnm:surrogate=Triangle:surrogate.learn=true",
                "rectangle@lnm:surrogate=Rectangle",
                "rectangle-derived@lnm:surrogate=Rectangle:surrogate.width=derived",
                "rectangle-derived-reset@lnm:surrogate=Rectangle:surrogate.width=derived-reset",
                "lif",
                "lif-rectangle-derived@lif:surrogate=Rectangle:surrogate.width=derived",
            ],
        ),
        Study(
            "start",
            "Does it matter where LNM starts, as LIF or as QIF, and in which form it is written?",
            ["lnm:start=lif", "lnm:start=qif", "lnm:form=absorbed", "lif"],
        ),
        Study(
            "memory",
            "Does the task need dynamics at all, or is a single timestep as good?",
            ["lif:model.timesteps=1", "lif", "lnm:model.timesteps=1", "lnm"],
        ),
        Study(
            "delays",
            "How many lags does a delay line need, and do more neurons do as well?",
            [
                f"delayed:order={n}:model.network.widths=[{h},{h}]"
                for h in (8, 32, 128)
                for n in (0, 1, 2, 5, 10, 20)
            ],
            late("sweep.conclude", "order", "model.network.widths"),
        ),
        Study(
            "convergence",
            "How many epochs does each neuron need to be as good as LIF at its best?",
            ["lif", "plif:per=channel", "qif:per=channel", "lnm:per=channel"],
            late("convergence.conclude"),
        ),
        Study(
            "departure",
            "How far do learned neurons depart from LIF, and what is lost without that?",
            ["lif", "plif:per=channel", "lnm:per=channel"],
            late("departure.conclude"),
        ),
        Study(
            "nonlinearity",
            "Do powers of a neuron's states pay, beside linear neurons with as many parameters?",
            [*dict.fromkeys(each for name in POWERS for each in (*POWERS[name], name))],
            late("nonlinearity.conclude", POWERS),
        ),
        Study(
            "speakers",
            "How much worse is a network with a speaker whom it has never heard?",
            each_tested(
                {
                    "lif": "lif",
                    "plif": "plif:per=neuron",
                    "lnm": "lnm:per=neuron",
                    "adlif": "adlif:per=neuron:model.network.init_args.gain=2",
                    "lif, delays": "delayed:neuron=LIF:neuron.init_args.reset=soft:order=10",
                    "planar, frozen": "planar:frozen",
                    "planar": "planar",
                    "modal": "modal",
                },
                SPEAKERS,
            ),
            late("speakers.conclude"),
        ),
        Study(
            "speaker-options",
            "Which options of the recipe help with a speaker whom the network has never heard?",
            each_tested(
                {
                    "recipe": "planar",
                    "SpokenDigitSpikes": "planar"
                    ":data.class_path=neurodyn.data.SpokenDigitSpikes:data.channels=35",
                    "64 channels": "planar:data.channels=64",
                    "16 channels": "planar:data.channels=16",
                    "steps of 20 ms": "planar:data.step_ms=20:data.steps=40",
                    "shifts by 2": "planar:data.augment.shift=2",
                    "no stretch": "planar:data.augment.stretch=0",
                    "masks": "planar:data.augment.time_mask=0.65:data.augment.channel_mask=0.65",
                    "no dropout": "planar:model.network.init_args.dropout=0",
                    "gain 0.3": "planar:model.network.init_args.gain=0.3",
                    "weight decay 0.3": "planar:model.optim.weight_decay=0.3",
                    "one layer of 256": "planar:model.network.init_args.widths=[256]",
                },
                SPEAKERS[:-1],
                f"data.speakers=[{','.join(SPEAKERS[:-1])}]",
            ),
            late("speakers.conclude"),
        ),
        Study(
            "transplant",
            "Do coefficients that one network learned help another (--source)?",
            late("transplant.contenders"),
        ),
    )
}
"""All studies by name."""
