"""A fitted cell as a neuron of a network: no millivolts, a timestep of any length."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor

from neurodyn.biophysics.fitting.membrane import HIGHEST, moved
from neurodyn.biophysics.fitting.model import Escape
from neurodyn.biophysics.fitting.stored import content_of, model_of, read_content
from neurodyn.biophysics.fitting.timestep import TIMESTEP, Timestep, in_words, timestep
from neurodyn.files import digest
from neurodyn.learned import Learned
from neurodyn.neurons import Neuron
from neurodyn.neurons.base import Features


class RecordedNeuron(Neuron):
    """A neuron whose equation was fitted to a cell:

        h   = u + x - sum_j eta_j a_j                 s   = H(h - V_th - sum_j gamma_j b_j)
        u   = after if s else F(h)
        a_j = rho_j a_j + s                           b_j = sigma_j b_j + s

    `F` is the flow of the fitted neuron over a timestep, `share` of its own timesteps, in as many
    Euler steps as keep the order of potentials; or strong inhibition would end in a spike. The
    potential is 0 at rest and 1 at the threshold. `after` is where the cell is one timestep after a
    spike: refractory time, its reset and what followed are in that number. Where a timestep is
    shorter than the refractory time, the neuron stays silent as long. `eta_j` and `gamma_j` are
    spike-triggered currents and the moving threshold; a kernel that is over when the cell can fire
    again is left out. The electrode, the noise and the low-passed current are left out: weights in
    front of the layer learn what is to come in.

    `neurodyn compare --neurons lif,cell@neurodyn.biophysics.RecordedNeuron:cell=FOLDER:dt=10` has
    the cell that `neurodyn fit-cell` wrote as a contender; `:frozen` does not learn it on.

    Args:
        features, **options: as for `Neuron`. With `learn=True` all that the cell's fit learned and
            `after` are trained; the fitted neuron is one for the layer, whatever `per` says.
        cell: a file that `Fitted.save` wrote, or a folder of `neurodyn fit-cell`; or what the file
            holds, which is what a run keeps of it. No code is run.
        dt: how many milliseconds a timestep stands for. Unless given, half of a potential is left
            after about one, as in LIF (see `TIMESTEP`).
        share, after: as above; the cell's own unless given.
    """

    own_reset = True
    files: ClassVar = {"cell": read_content}

    # The cell's own unless given: the name of another quantity makes the argument None by default.
    share = Learned("threshold", low=0.0)
    after = Learned("threshold")
    eta: Any = Learned(vector=True)
    rho: Any = Learned(vector=True, low=0.0, high=1.0, link="clamp")
    gamma: Any = Learned(vector=True)
    sigma: Any = Learned(vector=True, low=0.0, high=1.0, link="clamp")

    def __init__(
        self, features: Features = None, *, cell: Any, dt: float = TIMESTEP, **options: Any
    ) -> None:
        own = cell if isinstance(cell, Timestep) else timestep(model_of(cell), dt)
        membrane = copy.deepcopy(own.neuron).requires_grad_(options.get("learn", True) is True)
        self.states = (
            *membrane.states,
            *(f"a{j}" for j in range(len(own.currents))),
            *(f"b{j}" for j in range(len(own.thresholds))),
            *(["held"] if own.wait else []),
        )
        for name in ("share", "after"):
            if options.get(name) is None:
                options[name] = getattr(own, name)
        super().__init__(features, **options)
        self.level, self.parts, self.wait = own.level, own.parts, own.wait
        self.membrane = membrane.to(self.threshold.dtype)
        self.eta, self.rho = ([pair[k] for pair in own.currents] for k in (0, 1))
        self.gamma, self.sigma = ([pair[k] for pair in own.thresholds] for k in (0, 1))

    def step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        n, K = len(self.membrane.states), len(self.eta)
        (u, *others), a = state[:n], state[n : n + K]
        b = state[n + K : n + K + len(self.gamma)]
        h, threshold = u + x, self.threshold
        for weight, trace in zip(self.eta, a, strict=True):
            h = h - weight * trace
        for weight, trace in zip(self.gamma, b, strict=True):
            threshold = threshold + weight * trace
        held = (state[-1] > 0.5).to(h.dtype) if self.wait else torch.zeros_like(h)
        s, h = self.fire((1 - held) * h, threshold)
        u, *others = self._flow(h, others)
        u = u + (s + held) * (self.after - u)
        a = tuple(keep * old + s for keep, old in zip(self.rho, a, strict=True))
        b = tuple(keep * old + s for keep, old in zip(self.sigma, b, strict=True))
        left = [(state[-1] - 1).clamp(min=0) + self.wait * s] if self.wait else []
        return (s, u, *others, *a, *b, *left)

    def _flow(self, h: Tensor, others: list[Tensor]) -> tuple[Tensor, ...]:
        """The states a timestep later, without input or spike."""
        state = ((self.level * h).clamp(max=HIGHEST), *others)
        for _ in range(self.parts):
            u, *others = moved(self.membrane, self.share / self.parts, torch.zeros_like(h), state)
            state = (u.clamp(max=HIGHEST), *others)
        return (state[0] / self.level, *state[1:])

    def extra_repr(self) -> str:
        return f"parts={self.parts}, wait={self.wait}, {super().extra_repr()}"


class CellLayer:
    """Makes `RecordedNeuron`s of one cell, from the shape of a layer: what a network takes.

    Args:
        model: the fitted cell.
        dt: how many milliseconds a timestep of the network stands for.
        options: of the layer's neurons.
    """

    def __init__(self, model: Escape, dt: float, options: dict[str, Any]) -> None:
        self.step, self.options = timestep(model, dt), options
        self.model, self.dt = model, dt

    def __call__(self, features: Features = None, **more: Any) -> RecordedNeuron:
        return RecordedNeuron(features, cell=self.step, **{**self.options, **more})

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.options.items())
        name = f"{type(self.model.neuron).__name__} {digest(content_of(self.model, {}, 0.0))}"
        return f"{name}{given}, {in_words(self.step, self.model, self.dt)}"
