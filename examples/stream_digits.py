"""Listen to spoken digits and name them while they are being spoken.

    neurodyn compare --config spoken-digits-gru --neurons csgru --seeds 1
    python examples/stream_digits.py runs/spoken-digits-gru/csgru/seed-0 7_theo_0.wav

Sound comes in chunks, as from a microphone. Each goes through the cochlea, the network and the
read-out, which continue from where the last chunk left them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import neurodyn
from neurodyn.data import SpokenDigits
from neurodyn.data.formats.cochlea import Cochlea, read_wav
from neurodyn.layers import Stream


def listen(
    model: nn.Module, sound: np.ndarray, cochlea: Cochlea, channels: int, chunk_ms: int
) -> Iterator[tuple[float, Tensor]]:
    """The seconds heard and the scores of the digits, chunk by chunk.

    Args:
        model: from spikes `(T, 1, channels)` to scores `(1, 10)`.
        sound: `(samples,)`.
        cochlea: turns the sound into spikes.
        channels: number of the model's input channels; neighbouring channels of the cochlea are
            summed.
        chunk_ms: length of a chunk in milliseconds.
    """
    stream, state = Stream(model), None
    size = max(1, cochlea.rate * chunk_ms // 1000)
    for start in range(0, len(sound), size):
        counts, state = cochlea(sound[start : start + size], state, return_state=True)
        if len(counts):  # a chunk shorter than a step may complete none
            spikes = torch.from_numpy(counts).float().reshape(len(counts), 1, channels, -1).sum(-1)
            yield min(start + size, len(sound)) / cochlea.rate, stream(spikes)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run, such as .../seed-0")
    parser.add_argument("recordings", type=Path, nargs="+", help="wav files at 8 kHz")
    parser.add_argument("--chunk-ms", type=int, default=100)
    known = parser.parse_args()
    run = neurodyn.load(known.run)
    data, model = run.data, nn.Sequential(run.network, run.readout)
    if not isinstance(data, SpokenDigits):
        raise SystemExit(f"run: expected one on SpokenDigits, got {type(data).__name__}")
    cochlea = Cochlea(data.RATE, data.recorded, step_ms=data.step_ms)
    for path in known.recordings:
        sound = read_wav(path, data.RATE)
        sound = sound * (data.LEVEL / max(np.sqrt(np.mean(sound**2)), 1e-9))  # as in training
        print(path.name)
        with torch.no_grad():
            for seconds, scores in listen(model, sound, cochlea, data.shape[0], known.chunk_ms):
                first, second = scores[0].topk(2).indices.tolist()
                print(f"  {seconds:4.2f} s   {first}   or {second}")


if __name__ == "__main__":
    main()
