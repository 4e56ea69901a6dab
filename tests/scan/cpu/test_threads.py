"""Threads for kernels: PyTorch's, or our own."""

from itertools import pairwise

import pytest
import torch

from neurodyn.neurons import LNM
from neurodyn.scan.cpu import threads
from neurodyn.scan.cpu.build import SIGNATURE


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def counted(calls):
    """A kernel in Python, which writes down the ranges of tasks it is called with."""
    return SIGNATURE(lambda first, last, argument: calls.append((first, last)))


def no_region():
    """What `_region` says where PyTorch has no OpenMP that can be asked."""


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("tasks", [2, 7, 64])
def test_every_task_is_done_once(own, tasks, two_threads, monkeypatch):
    if own:
        monkeypatch.setattr(threads, "_region", no_region)
    elif threads._region() is None:
        pytest.skip("PyTorch has no OpenMP that can be asked")
    calls = []
    threads.run(counted(calls), tasks, 0, threads.SMALL)
    calls.sort()
    assert calls[0][0] == 0
    assert calls[-1][1] == tasks
    assert all(a[1] == b[0] for a, b in pairwise(calls))
    assert len(calls) == min(tasks, 2 * threads.RANGES_PER_THREAD)


def test_both_give_the_same_bits(two_threads, monkeypatch):
    neuron, x = LNM(backend="cpu"), torch.randn(4, 64, 1000)
    runs = []
    for own in (False, True):
        if own:
            monkeypatch.setattr(threads, "_region", no_region)
        given = x.clone().requires_grad_()
        neuron.zero_grad()
        spikes = neuron(given)
        spikes.sum().backward()
        runs.append([spikes, given.grad, *(c.grad for c in neuron.c)])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_an_error_of_the_kernel_reaches_the_caller(two_threads, monkeypatch):
    monkeypatch.setattr(threads, "_region", no_region)

    def broken(first, last, argument):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        threads.run(broken, 64, None, threads.SMALL)


def test_a_forked_process_does_not_ask_for_threads_that_it_has_not(two_threads, monkeypatch):
    def asked():
        raise AssertionError("PyTorch's threads are asked")

    calls = []
    monkeypatch.setattr(threads, "_forked", False)
    monkeypatch.setattr(threads, "_region", asked)
    threads._after_fork()
    threads.run(counted(calls), 64, 0, threads.SMALL)
    assert len(calls) == 2 * threads.RANGES_PER_THREAD
