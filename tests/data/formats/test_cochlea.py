from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodyn.data.formats.cochlea import Cochlea, read_wav
from tests.data.files import write_wav

RATE = 8000


def tone(frequency: float, seconds: float = 0.5, level: float = 0.1) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def test_a_tone_excites_the_channel_of_its_frequency() -> None:
    cochlea = Cochlea(RATE, 32)
    assert cochlea.frequencies[0] == pytest.approx(100)
    assert cochlea.frequencies[-1] == pytest.approx(3600)
    for channel in (4, 16, 28):
        rates = cochlea(tone(cochlea.frequencies[channel]))[10:].sum(0)
        assert abs(int(rates.argmax()) - channel) <= 1
        assert rates[channel] > 2 * np.median(rates)


def test_silence_gives_no_spikes_and_a_louder_tone_more_of_them() -> None:
    cochlea = Cochlea(RATE, 16)
    assert cochlea(np.zeros(4000)).sum() == 0
    soft, loud = (cochlea(tone(500, level=level)).sum() for level in (0.05, 0.5))
    # Compressed: ten times the pressure is far from ten times the spikes.
    assert 1.5 * soft < loud < 6 * soft


def test_one_neuron_by_hand() -> None:
    """A filter's output taken as it is, the neuron's loop is plain arithmetic."""
    from scipy.signal import gammatone, lfilter

    cochlea = Cochlea(RATE, 1, lowest=500, highest=500.0, gain=900, power=0.5, tau_ms=20)
    sound = tone(450)
    passed = np.maximum(lfilter(*gammatone(500, "iir", fs=RATE), sound), 0) ** 0.5
    u, expected = 0.0, []
    for step in range(50):
        u = np.exp(-0.5) * u + 900 * passed[80 * step : 80 * (step + 1)].sum() / RATE
        expected.append(int(u))
        u -= int(u)
    assert sum(expected) > 20
    assert cochlea(sound)[:, 0].tolist() == expected


def test_chunks_of_any_size_give_what_one_call_gives() -> None:
    rng = np.random.default_rng(0)
    sound, cochlea = rng.normal(0, 0.1, 4000), Cochlea(RATE, 8)
    whole, end = cochlea(sound, return_state=True)
    assert whole.shape == (50, 8)
    pieces, state = [], None
    for chunk in np.split(sound, [1, 79, 80, 81, 1000, 1001, 3333]):
        counts, state = cochlea(chunk, state, return_state=True)
        pieces.append(counts)
    assert np.array_equal(np.concatenate(pieces), whole)
    for one, other in zip(state, end, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_ms": 0.3}, "step_ms: expected a whole number of samples at 8000 per second"),
        ({"highest": 5000.0}, "highest: expected a number from 100.0 to 4000.0, got 5000.0"),
        ({"tau_ms": 0}, "tau_ms: expected a number above 0, got 0"),
        ({"channels": 0}, "channels: expected at least 1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cochlea(RATE, **options)


def test_bad_sound() -> None:
    with pytest.raises(ValueError, match=r"sound: expected finite \(samples,\)"):
        Cochlea(RATE)(np.zeros((2, 80)))


def test_wav(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", frequency=100)
    sound = read_wav(path, RATE)
    assert sound.shape == (2400,)
    assert sound[20] == pytest.approx(3000 / 32768, rel=1e-3)
    with pytest.raises(ValueError, match=r"a\.wav: found one channel at 8000 Hz, expected"):
        read_wav(path, 16000)
    path.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"a\.wav: .*expected a complete wav file"):
        read_wav(path, RATE)
