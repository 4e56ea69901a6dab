from pathlib import Path

from neurodyn.comparison.jobs.failures import Failure, told


def test_runs_that_failed_alike_share_a_line():
    missing, other = "FileNotFoundError: no images", "ValueError: no labels"
    failures = [
        Failure("lif seed 0", missing, Path("lif/seed-0/output.txt")),
        Failure("plif seed 0", other, Path("plif/seed-0/output.txt")),
        Failure("lif seed 1", missing, Path("lif/seed-1/output.txt")),
    ]
    assert told(failures).splitlines() == [
        f"lif seed 0, lif seed 1: {missing} (lif/seed-0/output.txt)",
        f"plif seed 0: {other} (plif/seed-0/output.txt)",
    ]
