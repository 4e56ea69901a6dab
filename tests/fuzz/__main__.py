"""`python -m tests.fuzz --mutations 2000`: a table of readers and what became of their files."""

from __future__ import annotations

import argparse
import time

from tests.fuzz.harness import OUTCOMES, fuzz
from tests.fuzz.readers import readers


def main() -> int:
    """Print the table; 1 if a file did what none may do."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=2000, help="files per reader")
    parser.add_argument("--first", type=int, default=0, help="seed of the first file")
    parser.add_argument("--only", help="one reader by its name")
    options = parser.parse_args()
    faults = 0
    print(f"{'reader':15}", *(f"{outcome:>8}" for outcome in OUTCOMES), f"{'seconds':>8}")
    for name, reader in readers().items():
        if options.only not in (None, name):
            continue
        start = time.perf_counter()
        found, examples = fuzz(reader, options.mutations, options.first)
        seconds = time.perf_counter() - start
        counts = (f"{found[outcome]:8}" for outcome in OUTCOMES)
        print(f"{name:15}", *counts, f"{seconds:8.0f}", flush=True)
        for outcome in OUTCOMES[2:]:
            if found[outcome]:
                faults += found[outcome]
                print(f"  {outcome}: --only {name!r} --first {examples[outcome]} --mutations 1")
    return min(faults, 1)


if __name__ == "__main__":
    raise SystemExit(main())
