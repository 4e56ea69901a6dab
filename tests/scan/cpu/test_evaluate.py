"""Long functions of single numbers are computed side by side, to the same bits as in vectors."""

import pytest
import torch
from torch import nn

from neurodyn.scan import kernel_source, scan
from neurodyn.scan.cpu import math as functions


class Several(nn.Module):
    """Functions that wait for each other, in definitions (`sigmoid`, `tanh`) and outside."""

    def step(self, x, u):
        first = torch.exp(-u), torch.exp(x), torch.sigmoid(x - u), torch.tanh(u), torch.expm1(x * u)
        second = torch.exp(-first[0] * first[2]), torch.exp(-first[1]), torch.log(1 + first[0])
        after = 0.1 * (sum(first) + sum(second) + torch.exp(-second[0]))
        return after, after


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_place_in_a_row_does_not_matter(dtype):
    """17 elements are one or two vectors and one single number; here they are all alike."""
    x = torch.randn(40, 1, dtype=dtype, generator=torch.Generator().manual_seed(0))
    x = x.repeat(1, 17).requires_grad_()
    y, _, _ = scan(Several(), (x,), (x.new_zeros(17),), backend="cpu")
    y[0].sum().backward()
    assert torch.equal(y[0], y[0][:, :1].expand_as(y[0]))
    torch.testing.assert_close(x.grad, x.grad[:, :1].expand_as(x.grad))


def test_single_numbers_share_a_vector(monkeypatch):
    """Some wait for others. Where there are vectors already, each function has its own."""
    found, exp = [], functions.exp

    def recording(x):
        found.append(x.lanes)
        return exp(x)

    monkeypatch.setitem(functions.OPERATIONS, "exp", recording)
    kernel_source(Several(), backend="cpu")
    # Two loops of vectors, as results go past the cache or not; then that of single numbers.
    assert found[:15] == [16] * 12 + [3, 2, 1]
