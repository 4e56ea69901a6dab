"""The scan in the corners of autograd."""

import gc
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from neurodyn.neurons import LIF, LNM
from neurodyn.scan import cpu, scan, why_not
from tests.scan.contract import error
from tests.scan.test_scan import Step


def slope(neuron, x, run):
    x = x.detach().requires_grad_()
    y = run(neuron, x)
    (y * torch.arange(y.numel()).reshape(y.shape).sin()).sum().backward()
    return x.grad


def test_what_is_kept_is_unpacked_once():
    neuron, x, unpacked = LIF(backend="cpu"), torch.randn(5, 4, 6, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: tensor, lambda tensor: (unpacked.append(tensor.shape), tensor)[1]
    ):
        neuron(x).sum().backward()
    assert unpacked.count(x.shape) == 1


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints(reentrant):
    neuron, x = LNM(backend="cpu"), torch.randn(5, 4, 6)
    kept = slope(neuron, x, lambda neuron, x: neuron(x))
    again = slope(neuron, x, lambda neuron, x: checkpoint(neuron, x, use_reentrant=reentrant))
    assert torch.equal(kept, again)


def test_a_gradient_of_zeros_that_lie_nowhere():
    neuron, x = LNM(backend="cpu"), torch.randn(5, 4, 6, requires_grad=True)
    y = neuron(x)
    y.backward(torch._efficientzerotensor(y.shape))
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_lazy_negatives_keep_their_sign():
    cell, x, u = Step(lambda x, u: (2 * x + u, u)), torch.randn(3, 4), torch.randn(4)
    lazy = torch._neg_view(-x).requires_grad_()
    (output,), _, _ = scan(cell, (lazy,), (torch._neg_view(-u),), backend="cpu")
    assert torch.equal(output, 2 * x + u)
    (grad,) = torch.autograd.grad(output, lazy, torch._neg_view(x))
    assert torch.equal(grad, -2 * x)


def test_tangents_go_through_the_loop():
    cell, x, u = (
        Step(lambda x, u: (torch.tanh(x + u), 0.5 * u + x)),
        torch.randn(3, 4),
        torch.ones(4),
    )
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        assert "tangents" in why_not(cell, (dual,), (u,))
        with pytest.warns(RuntimeWarning, match="tangents"):
            (output,), _, _ = scan(cell, (dual,), (u,))
        assert forward_ad.unpack_dual(output).tangent is not None


def test_a_batch_of_gradients_is_refused():
    x = torch.randn(5, 4, 6, requires_grad=True)
    y, grads = LNM(backend="cpu")(x), torch.ones(3, 5, 4, 6)
    with pytest.raises(RuntimeError, match="one gradient at a time"):
        torch.autograd.grad(y, x, grads, is_grads_batched=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_narrow_input_is_kept_as_it_came(dtype):
    x, kept = torch.randn(16, 8, 64).to(dtype).requires_grad_(), {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = LNM(backend="cpu")(x)
    assert sorted(kept.values())[-2:] == [4, 2 * x.numel()]
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype


def fail(*_):
    raise ValueError("no such instruction")


def test_a_kernel_that_cannot_be_made_is_a_reason_not_to(monkeypatch):
    monkeypatch.setattr(cpu.Target, "make", fail)
    x, u = torch.randn(3, 4), torch.zeros(4)
    cell = Step(lambda x, u: (x + 0.321 * u, u + x))
    with pytest.warns(RuntimeWarning, match=r"a kernel of Step failed .*no such instruction"):
        (output,), _, _ = scan(cell, (x,), (u,))
    assert error(output, scan(cell, (x,), (u,), backend="reference")[0][0]) == 0
    with pytest.raises(ValueError, match=r"backend: 'cpu' cannot run this: .*no such instruction"):
        scan(cell, (x,), (u,), backend="cpu")


def test_a_gradient_s_kernel_that_cannot_be_made_is_one_too(monkeypatch):
    x, u = torch.randn(3, 4, requires_grad=True), torch.zeros(4)
    cell = Step(lambda x, u: (x + 0.654 * u, u + x))
    (output,), _, _ = scan(cell, (x,), (u,))
    monkeypatch.setattr(cpu.Target, "make", fail)
    with pytest.raises(RuntimeError, match=r"no such instruction.*backend='reference' needs none"):
        output.sum().backward()
    assert "no such instruction" in why_not(cell, (x,), (u,))


class Wrapped(torch.Tensor):
    """A tensor without memory of its own, as those of several devices are."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        plain = torch.utils._pytree.tree_map_only(cls, lambda x: x.inner, (args, kwargs or {}))
        return func(*plain[0], **plain[1])


def test_parameters_without_memory_of_their_own():
    neuron, x = LIF(), torch.randn(3, 2, 4)
    expected = neuron(x)
    neuron._buffers["tau"] = Wrapped(neuron.tau)
    with pytest.warns(RuntimeWarning, match="kernels read plain tensors, got Wrapped"):
        assert torch.equal(neuron(x), expected)
    neuron.backend = "cpu"
    with pytest.raises(ValueError, match="kernels read plain tensors, got Wrapped"):
        neuron(x)


def test_a_refused_step_keeps_nothing_alive():
    class Branching(nn.Module):
        def step(self, x, u):
            return (x, u + x) if float(u.sum()) < 1e9 else (x, x)

    x = torch.randn(3, 2, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scan(Branching(), (x,), (torch.zeros(2, 4),))
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None
