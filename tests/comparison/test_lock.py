"""Several processes in one run folder."""

import subprocess
import sys
import time

import pytest
from filelock import FileLock

from neurodyn.comparison.lock import in_turn

HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def homes(tmp_path):
    return [tmp_path / name for name in "abc"]


def hold(home):
    """Another process that holds the lock of a run until it is killed."""
    home.mkdir()
    command = [sys.executable, "-c", HOLD, str(home / "run.lock")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def free(home):
    try:
        with FileLock(home / "run.lock", blocking=False):
            return True
    except TimeoutError:
        return False


def test_a_run_that_another_process_is_at_comes_last_when_that_is_killed(homes):
    other = hold(homes[0])
    waited = []

    def waiting(index):
        waited.append(index)
        other.kill()
        other.wait()

    order = []
    for index in in_turn(homes, together=False, waiting=waiting):
        assert [free(home) for home in homes].count(False) == 2 - len(waited)
        assert not free(homes[index])
        order.append(index)
    assert (order, waited) == ([1, 2, 0], [0])
    assert all(free(home) for home in homes)


def test_several_devices_hold_all_runs_to_the_end(homes):
    other = hold(homes[1])
    waited = []

    def waiting(index):
        waited.append(index)
        other.kill()

    for _ in in_turn(homes, together=True, waiting=waiting):
        assert not any(free(home) for home in homes)
    assert waited == [1]
    assert all(free(home) for home in homes)


def test_an_error_leaves_the_locks(homes):
    turns = in_turn(homes, together=False, waiting=time.sleep)
    next(turns)
    assert not free(homes[0])
    turns.close()
    assert free(homes[0])
