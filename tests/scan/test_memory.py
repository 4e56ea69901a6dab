"""The pool of memory: blocks are used again, and a tensor in one is like any other."""

import copy
import gc
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader

from neurodyn.neurons import ALIF, LNM
from neurodyn.scan import memory
from neurodyn.scan.memory import LARGE, PAGE, PATIENCE, Pool, empty_strided

pytestmark = pytest.mark.skipif(not memory.ON, reason="the pool needs Linux")
SHAPE = (4, 16, 8, 32, 32)
"""Of a sequence that lies in the pool."""


@pytest.fixture
def pool(monkeypatch):
    """An empty pool, and a clock that stands still."""
    made = Pool(clock=lambda: made.now)
    made.now = 1.0
    monkeypatch.setattr(memory, "POOL", made)
    return made


def in_use(pool: Pool) -> int:
    gc.collect()
    pool._collect()
    return pool.used


def sequence() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(SHAPE, requires_grad=True)


def gradients(neuron, x):
    """Spikes and gradients. They are copies: nothing stays in the pool."""
    x.grad = None
    neuron.zero_grad()
    spikes = neuron(x)
    spikes.backward(torch.ones_like(spikes))
    return [t.detach().clone() for t in (spikes, x.grad, *(p.grad for p in neuron.parameters()))]


def test_what_a_kernel_writes_lies_in_the_pool(pool):
    neuron, x = LNM(backend="cpu"), sequence()
    spikes = neuron(x)
    assert in_use(pool) == spikes.nbytes == PAGE
    spikes.sum().backward()
    assert in_use(pool) == 2 * PAGE
    x.grad = None
    del spikes
    small = neuron(x[:1])
    assert small.nbytes < LARGE
    assert in_use(pool) == 0


def test_memory_is_used_again_and_does_not_grow(pool):
    neuron, x = LNM(backend="cpu"), sequence()
    gradients(neuron, x)
    blocks = set()
    for _ in range(200):
        spikes = neuron(x)
        spikes.backward(torch.ones_like(spikes))
        blocks |= {spikes.data_ptr(), x.grad.data_ptr()}
        assert pool.used + sum(block.size for block in pool.waiting) <= 3 * PAGE
        x.grad = None
    assert len(blocks) <= 3


@pytest.mark.parametrize("neuron", [LNM(), ALIF(per="channel", features=(8, 32, 32))])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_what_a_block_held_before_does_not_matter(pool, neuron, layout):
    x = sequence().detach().repeat(5, 1, 1, 1, 1)  # Two segments: checkpoints lie in the pool too.
    x = x.flatten(0, 1).contiguous(memory_format=layout).unflatten(0, x.shape[:2])
    x.requires_grad_()
    neuron.backend = "cpu"
    before = gradients(neuron, x)
    x.grad = None
    pool.clear()
    poisoned = [pool.take(size) for size in (x.nbytes, x.nbytes, x.nbytes, LARGE, LARGE)]
    for view in poisoned:
        torch.frombuffer(view, dtype=torch.float32).fill_(float("nan"))
    places = {torch.frombuffer(view, dtype=torch.float32).data_ptr() for view in poisoned}
    del poisoned, view
    after = gradients(neuron, x)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    spikes = neuron(x)
    assert spikes.data_ptr() in places
    assert spikes.stride() == x.stride()


def test_two_tensors_never_share_a_block(pool):
    neuron, x = LNM(backend="cpu"), sequence()
    wrong = []

    def work(offset):
        mine, truth = (x + offset).detach(), []
        truth = neuron(mine).clone()
        kept = []
        for _ in range(30):
            kept = [*kept[-2:], neuron(mine)]
            if not all(torch.equal(spikes, truth) for spikes in kept):
                wrong.append(offset)

    threads = [threading.Thread(target=work, args=(i / 4,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_blocks_that_wait_too_long_are_unmapped(pool):
    pool.take(LARGE)
    pool.now += PATIENCE / 2
    pool.take(8 * LARGE)
    assert len(pool.waiting) == 1
    pool.now += PATIENCE + 1
    view = pool.take(8 * LARGE)
    assert pool.waiting == []
    assert pool.used == len(view)


def test_blocks_that_wait_are_never_more_than_were_in_use(pool):
    for size in range(1, 60):  # Each is too large for the blocks before it.
        pool.take(int(1.5**size % 97 + size) * PAGE)
        waiting = sum(block.size for block in pool.waiting)
        assert waiting <= pool.peak


def test_a_block_serves_what_is_nearly_as_large(pool):
    pool.take(8 * PAGE)
    pool.take(7 * PAGE)
    assert pool.used == 8 * PAGE
    pool.take(2 * PAGE)
    assert pool.used == 2 * PAGE


def test_the_bound_forgets_an_old_peak(pool):
    views = [pool.take(4 * PAGE) for _ in range(4)]
    del views
    for _ in range(3):
        pool.now += PATIENCE + 1
        pool.take(PAGE)
    assert pool.peak == pool.peak_before == PAGE


def test_without_memory_pytorch_allocates(pool, monkeypatch):
    pool.take(LARGE)

    def full(size):
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(memory, "Block", full)
    tensor = empty_strided((2, 8 * PAGE), (8 * PAGE, 1), torch.float32, 64 * PAGE)
    assert tensor.shape == (2, 8 * PAGE)
    assert not pool.waiting
    assert not pool.returned


def test_blocks_serve_where_the_system_takes_no_advice(pool, monkeypatch):
    for name in ("MADV_HUGEPAGE", "MADV_FREE"):
        monkeypatch.setattr(memory.mmap, name, 12345)
    first = empty_strided((LARGE,), (1,), torch.float32, 4 * LARGE).fill_(1.0)
    place = first.data_ptr()
    del first
    assert empty_strided((LARGE,), (1,), torch.float32, 4 * LARGE).data_ptr() == place


COPIES = {
    "pickle": lambda y: pickle.loads(pickle.dumps(y)),
    "deepcopy": copy.deepcopy,
    "clone": torch.clone,
    "numpy": lambda y: torch.from_numpy(y.numpy()),
    "dlpack": torch.from_dlpack,
    "share_memory_": Tensor.share_memory_,
    "resize_": lambda y: y.resize_(2, *SHAPE[1:]),
    "set_": lambda y: torch.empty(0).set_(y.untyped_storage(), 0, y.shape, y.stride()),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_tensor_is_like_any_other(pool, name):
    y = empty_strided((8, 4, LARGE // 4), (LARGE, LARGE // 4, 1), torch.float32, 8 * LARGE * 4)
    y = y.normal_().view(4, -1)[:, : 2 * LARGE].clone()
    x = empty_strided(y.shape, y.stride(), y.dtype, y.nbytes).copy_(y)
    made = COPIES[name](x)
    del x
    other = memory.empty_strided(y.shape, y.stride(), y.dtype, y.nbytes).fill_(1.0)
    assert other.data_ptr() != made.data_ptr()
    assert torch.equal(made.flatten(), y.flatten()[: made.numel()])


def test_it_is_saved_and_loaded(pool):
    spikes = LNM(backend="cpu")(sequence()).detach()
    file = io.BytesIO()
    torch.save(spikes, file)
    file.seek(0)
    assert torch.equal(torch.load(file), spikes)


def test_it_may_be_changed_in_place(pool):
    neuron, x = LNM(backend="cpu"), sequence()
    neuron(x).mul_(2.0).add_(1.0).sum().backward()
    grad = x.grad
    x.grad = None
    (neuron(x) * 2.0 + 1.0).sum().backward()
    assert torch.equal(x.grad, grad)
    with torch.no_grad():
        assert neuron(x).fill_(0.5).unique().tolist() == [0.5]


def test_autograd_adds_to_gradients_in_place(pool):
    """Where two layers read one input, it does not write their sum into fresh memory."""
    x = sequence()
    spikes = LNM(backend="cpu")(x), ALIF(backend="cpu")(x)
    upstream = [torch.ones_like(s) for s in spikes]
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        torch.autograd.backward(spikes, upstream)
    sums = {event.key for event in seen.key_averages()} & {"aten::add", "aten::add_"}
    assert sums == {"aten::add_"}


def test_it_cannot_be_enlarged(pool):
    with pytest.raises(RuntimeError, match="not resizable"):
        LNM(backend="cpu")(sequence()).detach().resize_(2 * SHAPE[0], *SHAPE[1:])


def test_modes_of_autograd(pool):
    neuron, x = LNM(backend="cpu"), sequence()
    truth = neuron(x)
    with torch.inference_mode():
        assert torch.equal(neuron(x.detach()), truth)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        neuron(x.repeat(5, 1, 1, 1, 1)).sum().backward()
    assert len(saved) > 1


class Spikes(torch.utils.data.Dataset):
    """Items that a kernel makes."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return LNM(backend="cpu")(sequence() + i / 10).detach()


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_of_a_data_loader(way):
    loader = DataLoader(Spikes(), 1, num_workers=1, multiprocessing_context=way)
    for i, batch in enumerate(loader):
        assert torch.equal(batch[0], Spikes()[i])


def test_a_child_writes_to_no_page_of_its_parent(pool, monkeypatch):
    kept, gone = pool.take(LARGE), pool.take(LARGE)
    kept[:4] = b"kept"
    del gone
    monkeypatch.setattr(memory, "POOL", pool)

    def child(queue):
        pool.lock.acquire()  # What the hooks of a fork do, for the pool of the module.
        pool.forked()
        queue.put((len(pool.waiting) + len(pool.returned), pool.used, bytes(kept[:4])))

    queue = multiprocessing.get_context("fork").SimpleQueue()
    process = multiprocessing.get_context("fork").Process(target=child, args=(queue,))
    process.start()
    assert queue.get() == (0, PAGE, b"kept")
    process.join()
    assert process.exitcode == 0


SCRIPT = """
import sys, torch
from neurodyn.neurons import LNM
from neurodyn.scan import memory
x = torch.randn(4, 16, 8, 32, 32, requires_grad=True)
spikes = LNM(backend="cpu")(x)
spikes.backward(torch.ones_like(spikes))
sys.kept = spikes, x
print(memory.POOL.used)
"""


@pytest.mark.parametrize(("given", "used"), [(None, 2 * PAGE), ("0", 0)])
def test_a_process_ends_quietly_and_may_turn_it_off(given, used):
    environment = {k: v for k, v in os.environ.items() if k != "NEURODYN_POOL"}
    environment |= {"NEURODYN_POOL": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert (int(done.stdout), done.stderr) == (used, "")


def test_compiled_code_and_fake_tensors(pool):
    neuron, x = LNM(backend="cpu"), sequence()
    compiled = torch.compile(lambda x: neuron(x).mul_(2.0), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), neuron(x) * 2.0)
    used = in_use(pool)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert neuron(mode.from_tensor(x)).shape == x.shape
    assert in_use(pool) == used
