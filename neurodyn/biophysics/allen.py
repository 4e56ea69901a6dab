"""All-active models of the Allen Cell Types Database, run by NEURON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neurodyn.biophysics.noble.family import Family
from neurodyn.biophysics.nrn import neuron
from neurodyn.errors import check
from neurodyn.files import read_json

PARTS = ("soma", "axon", "apic", "dend")
STUB = 30.0
"""Length of the two sections that replace the axon [um]."""
SEGMENT = 40.0
"""A section has `1 + 2 floor(L / SEGMENT)` segments [um]."""
FAR = 60.0
"""The second section of the stub has the diameter of the axon beyond this distance [um]."""


class AllenCell:
    """A model with many compartments, as the Allen Institute publishes it: a folder with
    `fit_parameters.json`, a morphology `.swc` and mechanisms `.mod`.

    As in the fits, two sections of 30 um replace the axon, with the diameters of the
    reconstruction. Built and run by NEURON alone, with the extra `biophysics`.

    The mechanisms are code. Making an `AllenCell` reads the folder and runs nothing; the first
    simulation compiles the mechanisms (`nrnivmodl`, a C compiler) and runs them in this process.
    So simulate only folders that you trust. Recipes cannot name this class.

    Args:
        folder: of the model, or one above it.
        dt: time step [ms]; the published simulations have .1.
        start_at: potential that a simulation starts from [mV].

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: `fit_parameters.json` is not what it should be.
    """

    def __init__(self, folder: str | Path, dt: float = 0.1, start_at: float = -80.0) -> None:
        check("dt", dt, 1e-6)
        parameters = _only(Path(folder).expanduser(), "fit_parameters.json")
        self.folder, self.dt, self.start_at = parameters.parent, dt, start_at
        self.morphology = _only(self.folder, "*.swc")
        self.mechanisms = sorted(self.folder.rglob("*.mod"))
        if not self.mechanisms:
            raise FileNotFoundError(f"folder: expected mechanisms .mod in {self.folder}, got none")
        fit = read_json(parameters)
        try:
            self.Ra, self.genome = float(fit["passive"][0]["ra"]), fit["genome"]
            self.celsius = float(fit["conditions"][0]["celsius"])
            self.reversals = {one["section"]: one for one in fit["conditions"][0]["erev"]}
            self.values = {
                (gene["section"], gene["name"]): float(gene["value"]) for gene in fit["genome"]
            }
            self.inserted = sorted({(g["section"], g["mechanism"]) for g in fit["genome"]})
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"{parameters}: expected passive, conditions and genome of an all-active model, "
                f"got {type(error).__name__}: {error}"
            ) from error
        wrong = {section for section, _ in self.values} - set(PARTS)
        if wrong:
            raise ValueError(f"{parameters}: expected sections {PARTS}, got {sorted(wrong)}")
        self._built: Any = None
        self._rests: dict[Any, Any] = {}

    @property
    def conductances(self) -> list[tuple[str, str]]:
        """The section and the name of each conductance of the fit."""
        return [key for key in self.values if key[1].startswith(("gbar_", "g_"))]

    def simulate(
        self,
        current: Tensor,
        *,
        warm_up: float = 0.0,
        every: int = 1,
        values: Mapping[tuple[str, str], float] | None = None,
    ) -> Tensor:
        """The potential of the soma [mV], `(T // every, traces)`, one trace after the other.

        Args:
            current: injected into the soma [nA], `(T, traces)`, each entry for a step of `dt`.
            warm_up: rest before that [ms].
            every: keep each `every`-th step: the potential at `every dt`, `2 every dt`, ...
            values: other values of the fit's parameters, by section and name.
        """
        if current.ndim != 2:
            raise ValueError(f"current: expected (T, traces), got {tuple(current.shape)}")
        h, parts, clamp, V = self._model()
        given = {**self.values, **(values or {})}
        for (section, name), value in given.items():
            for one in parts[section]:
                setattr(one, name, value)
        h.celsius, h.dt, h.steps_per_ms = self.celsius, self.dt, 1 / self.dt
        rested = self._rested(given, round(warm_up / self.dt))
        found = []
        for trace in current.T.tolist():
            played = h.Vector(trace)
            played.play(clamp._ref_amp, self.dt)
            h.finitialize(self.start_at)
            rested.restore(1)  # The states, and not the events.
            h.t = 0
            h.fcurrent()
            h.frecord_init()
            h.continuerun(len(trace) * self.dt)
            played.play_remove()
            found.append(torch.from_numpy(V.as_numpy().copy())[every::every])
        return torch.stack(found, 1)

    def _rested(self, values: Mapping[tuple[str, str], float], steps: int) -> Any:
        """The states after some steps without current, kept for the next simulation with these
        values, which the sections have."""
        key = steps, self.dt, self.start_at, *values.items()
        if key not in self._rests:
            h, _, clamp, _ = self._model()
            clamp.amp = 0
            h.finitialize(self.start_at)
            h.continuerun(steps * self.dt)
            self._rests[key] = h.SaveState()
            self._rests[key].save()
        return self._rests[key]

    def vary(
        self, share: float = 0.1, models: int = 60, held_out: int = 10, seed: int = 0
    ) -> AllenFamily:
        """Models whose conductances differ from the fit's by up to a share."""
        return AllenFamily(self, share, models, held_out, seed)

    def _model(self) -> Any:
        """NEURON, the sections by part, the electrode and the recorded potential; built once."""
        if self._built is None:
            h = neuron(self.mechanisms)
            h.load_file("import3d.hoc")
            parts = {name: list(sections) for name, sections in self._sections(h).items()}
            for name, sections in parts.items():
                for section in sections:
                    section.insert("pas")
                    section.nseg = 1 + 2 * int(section.L / SEGMENT)
                    section.Ra = self.Ra
                    for part, mechanism in self.inserted:
                        if part == name and mechanism:
                            section.insert(mechanism)
                    for ion, value in self.reversals.get(name, {}).items():
                        if ion != "section":
                            setattr(section, ion, value)
            middle = parts["soma"][0](0.5)
            clamp = h.IClamp(middle)
            clamp.delay, clamp.dur = 0, 1e9
            self._built = h, parts, clamp, h.Vector().record(middle._ref_v)
        return self._built

    def _sections(self, h: Any) -> dict[str, Iterable[Any]]:
        """The sections of the morphology by part, with a stub for an axon."""

        class Shape:
            soma: Any
            axon: Any = ()
            apic: Any = ()
            dend: Any = ()

        shape = Shape()
        reader = h.Import3d_SWC_read()
        reader.quiet = 1
        reader.input(str(self.morphology))
        h.Import3d_GUI(reader, 0).instantiate(shape)
        h.distance(sec=shape.soma[0])
        axon = list(shape.axon)
        diameters = [axon[0].diam, axon[0].diam] if axon else [1.0, 1.0]
        for section in axon:
            if h.distance(0.5, sec=section) > FAR:
                diameters[1] = section.diam
        for section in axon:
            h.delete_section(sec=section)
        stub = [h.Section(name=f"axon{i}") for i in range(2)]
        for section, diameter in zip(stub, diameters, strict=True):
            section.L, section.diam = STUB, diameter
        stub[0].connect(shape.soma[0], 1, 0)
        stub[1].connect(stub[0], 1, 0)
        return {"soma": shape.soma, "axon": stub, "apic": shape.apic, "dend": shape.dend}


class AllenFamily(Family):
    """Models of a cell whose conductances are drawn evenly around the fit's.

    Args:
        cell: the cell.
        share: the largest change, as a share of the fit's value.
        models, held_out, seed: as for `Family`.
    """

    currents = (0.0, 0.5)

    def __init__(
        self, cell: AllenCell, share: float, models: int, held_out: int, seed: int
    ) -> None:
        check("share", share, 0.0, 1.0)
        names = {f"{section}.{name}": (1 - share, 1 + share) for section, name in cell.conductances}
        super().__init__(names, models, held_out, seed)
        self.cell, self.step = cell, cell.dt

    def describe(self) -> dict[str, Any]:
        fit = {f"{section}.{name}": value for (section, name), value in self.cell.values.items()}
        cell = {"fit": fit, "start_at": self.cell.start_at, "file": self.cell.morphology.name}
        return {**cell, **super().describe()}

    def run(self, models: Tensor, current: Tensor, dt: float, every: int = 1) -> Tensor:
        """As `Family.run`, after 500 ms of rest."""
        if abs(dt - self.step) > 1e-9:
            raise ValueError(f"dt: expected that of the cell, {self.step:g} ms, got {dt:g}")
        found = torch.empty(len(current) // every, len(models))
        for model in models.unique().tolist():
            rows = models == model
            values = {
                key: self.cell.values[key] * self.quantities[".".join(key)][model].item()
                for key in self.cell.conductances
            }
            V = self.cell.simulate(current[:, rows], warm_up=500.0, every=every, values=values)
            found[:, rows] = V.float()
        return found


def _only(folder: Path, pattern: str) -> Path:
    """The one file of a pattern in a folder or below."""
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(
            f"folder: expected one {pattern} in {folder}, got {len(found) or 'none'}"
        )
    return found[0]
