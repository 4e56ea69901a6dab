"""Kernels: what one input spike does to the membrane of a neuron in continuous time."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class Kernel(nn.Module):
    """Base of the kernels `kappa(s)`, `s` the time since a spike of weight 1 arrived:

        kappa(s) = g (exp(-alpha s) - exp(-beta s)) / (beta - alpha)

    A kernel says its three numbers in `rates`. Time constants are parameters, in the unit of time
    of the spike trains (milliseconds, say). They are one number, or one per neuron of the layer.
    """

    leaks: ClassVar[bool] = False
    """The membrane forgets; a reset that leaks needs that."""

    endless: ClassVar[bool] = False
    """After its last input a neuron may go on firing for ever."""

    def rates(self) -> tuple[Tensor, Tensor, Tensor]:
        """`(alpha, beta, g)`."""
        raise NotImplementedError


def _time_constant(name: str, value: float | Tensor) -> nn.Parameter:
    given = torch.as_tensor(value, dtype=torch.float64).detach().clone()
    if not bool((torch.isfinite(given) & (given > 0)).all()):
        raise ValueError(f"{name}: expected a positive time, got {value}")
    return nn.Parameter(given)


class LIFKernel(Kernel):
    """The kernel of a leaky membrane behind an exponential synapse:

        kappa(s) = tau / (tau - tau_syn) (exp(-s / tau) - exp(-s / tau_syn))

    At `tau = tau_syn` it is the limit, `s / tau exp(-s / tau)`.

    Args:
        tau: membrane time constant.
        tau_syn: synaptic time constant.
    """

    leaks = True

    def __init__(self, tau: float | Tensor = 10.0, tau_syn: float | Tensor = 4.0) -> None:
        super().__init__()
        self.tau = _time_constant("tau", tau)
        self.tau_syn = _time_constant("tau_syn", tau_syn)

    def rates(self) -> tuple[Tensor, Tensor, Tensor]:
        return 1 / self.tau, 1 / self.tau_syn, 1 / self.tau_syn

    def extra_repr(self) -> str:
        return f"tau={self.tau.tolist()}, tau_syn={self.tau_syn.tolist()}"


class NLIFKernel(Kernel):
    """The kernel of a membrane that does not leak, behind an exponential synapse:

        kappa(s) = 1 - exp(-s / tau_syn)

    Args:
        tau_syn: synaptic time constant.
    """

    def __init__(self, tau_syn: float | Tensor = 4.0) -> None:
        super().__init__()
        self.tau_syn = _time_constant("tau_syn", tau_syn)

    def rates(self) -> tuple[Tensor, Tensor, Tensor]:
        return torch.zeros_like(self.tau_syn), 1 / self.tau_syn, 1 / self.tau_syn

    def extra_repr(self) -> str:
        return f"tau_syn={self.tau_syn.tolist()}"


class ReLUKernel(Kernel):
    """The linear kernel, `kappa(s) = s`: a spike switches on a current that stays."""

    endless = True

    def rates(self) -> tuple[Tensor, Tensor, Tensor]:
        zero = torch.zeros((), dtype=torch.float64)
        return zero, zero, torch.ones((), dtype=torch.float64)
