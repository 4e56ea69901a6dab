"""Features of traces by eFEL, with what it needs to be right."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurodyn.errors import require

TABLE: Mapping[str, str] = MappingProxyType(
    {
        "spike count": "spike_count",
        "AP1 width": "AP1_width",
        "mean AP amplitude": "mean_AP_amplitude",
        "steady-state voltage": "steady_state_voltage",
    }
)
"""The features of the paper's table, and their names in eFEL. eFEL's `steady_state_voltage` is the
mean after the step of current."""

LEFT_OUT = MappingProxyType(
    {
        "depol_block": "it is 1 for every trace that is not blocked",
        "depol_block_bool": "it is 0 for every trace that is not blocked",
    }
)
NEEDS_CURRENT = ("decay_time_constant_after_stim", "multiple_decay_time_constant_after_stim")
"""Features without a meaning where no current was injected."""


def efel_features(
    V: Tensor,
    times: Tensor,
    start: Tensor | float,
    stop: Tensor | float,
    names: Sequence[str] = tuple(TABLE.values()),
    *,
    current: Tensor | None = None,
    threshold: float = -20.0,
) -> dict[str, Tensor]:
    """Features of traces by eFEL. One that a trace does not have, such as the width of its first
    spike if it is silent, is NaN.

    eFEL is given the grid of the traces as its step of interpolation, and times in double
    precision: its own step of .1 ms would resample finer traces. Spikes outside the step of current
    do not count. A sample right at the threshold counts as above: eFEL misses a spike that begins
    with two such samples.

    Args:
        V: potentials [mV], `(T, traces)`.
        times: of the samples [ms], `(T,)`, evenly spaced.
        start, stop: of the step of current [ms], one or `(traces,)`.
        names: of the features, as eFEL has them.
        current: amplitude of the step [nA], `(traces,)`: features without a meaning for none are
            then NaN where it is 0.
        threshold: of a spike [mV].

    Returns:
        `(traces,)` for each name, in double precision.

    Raises:
        ValueError: seconds or volts were given, the step lies outside the trace, or a feature is
            not eFEL's, or has no meaning here.
    """
    efel = require("efel", "noble")
    for name in names:
        if name in LEFT_OUT:
            raise ValueError(f"names: {name} is left out: {LEFT_OUT[name]}")
        if not efel.feature_name_exists(name):
            raise ValueError(f"names: expected features of eFEL, got {name!r}")
    dt = _check(V, times)
    count = V.shape[1]
    begin, end = (np.broadcast_to(np.asarray(t, float), (count,)) for t in (start, stop))
    _check_step(begin, end, times)
    grid = float(times[0]) + dt * np.arange(len(V))
    values = V.detach().cpu().double().numpy()
    values = np.where(values == threshold, np.nextafter(threshold, np.inf) + 1e-9, values)
    traces = [
        {"T": grid, "V": values[:, k], "stim_start": [begin[k]], "stim_end": [end[k]]}
        for k in range(count)
    ]
    settings = {"interp_step": dt, "Threshold": threshold, "strict_stiminterval": True}
    with _set(efel, settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of every feature that a trace does not have.
        rows = efel.get_feature_values(traces, list(names))
    found = {name: torch.tensor([_first(row[name]) for row in rows]).double() for name in names}
    for name in NEEDS_CURRENT:
        if name in found and current is not None:
            found[name][current == 0] = torch.nan
    return found


def _first(value: Any) -> float:
    """The first of a feature's values; NaN if there is none, or if it is infinite."""
    if value is None or not len(value) or not np.isfinite(value[0]):
        return float("nan")
    return float(value[0])


def _check(V: Tensor, times: Tensor) -> float:
    """The time step [ms], if units and shapes can be right."""
    if V.ndim != 2 or times.shape != V.shape[:1] or len(times) < 2:
        raise ValueError(
            f"V, times: expected (T, traces) and (T,), got {tuple(V.shape)} and "
            f"{tuple(times.shape)}"
        )
    steps = times.double().diff()
    dt = float(times[-1] - times[0]) / (len(times) - 1)
    if not (dt > 0 and (steps - dt).abs().max() < 1e-2 * dt):
        raise ValueError("times: expected them evenly spaced and rising")
    if dt < 1e-3 or float(times[-1] - times[0]) < 2:
        raise ValueError(
            f"times: expected milliseconds, got {len(times)} samples {dt:g} apart, which look like "
            "seconds; multiply by 1000"
        )
    finite = V[torch.isfinite(V)]
    if len(finite) and finite.abs().max() < 1:
        raise ValueError(
            f"V: expected millivolts, got numbers up to {finite.abs().max():.3g}, which look like "
            "volts; multiply by 1000"
        )
    return dt


def _check_step(start: Any, stop: Any, times: Tensor) -> None:
    wrong = (start >= stop) | (stop > float(times[-1]) * (1 + 1e-9)) | (start < 0)
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(
            f"start, stop: expected a step within the trace, which ends at {float(times[-1]):g} "
            f"ms, got {start[k]:g} to {stop[k]:g}"
        )
    if (stop - start < 1).any():
        raise ValueError(
            f"start, stop: expected milliseconds, got a step from {start[0]:g} to {stop[0]:g}, "
            "which looks like seconds; multiply by 1000"
        )


@contextlib.contextmanager
def _set(efel: Any, settings: Mapping[str, Any]) -> Iterator[None]:
    """eFEL's settings, which belong to the process, for a while."""
    before = {name: getattr(efel.get_settings(), name) for name in settings}
    try:
        for name, value in settings.items():
            efel.set_setting(name, value)
        yield
    finally:
        for name, value in before.items():
            efel.set_setting(name, value)
