"""A few kills in every test run; `python -m tests.kill` has more."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_killed_trainings_end_with_the_weights_of_unbroken_ones():
    command = [sys.executable, "-m", "tests.kill", "--kills=3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ +3 kills$", done.stdout, re.MULTILINE)
