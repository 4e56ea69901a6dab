"""The command."""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from tests.kill.harness import campaign


def main() -> None:
    """Kill trainings, and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    known = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = campaign(known.kills, Path(folder), known.seed)
    for name, count in counts.items():
        print(f"{count:5d} {name}")
    print(f"{time.monotonic() - begin:5.0f} seconds")


main()
